"""Questions of the general test by task, for oracles that work out their answers again."""

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

from modelsat.aptitude.general import TASKS
from modelsat.aptitude.general.task import NUM_LEVELS, Item

NUM_SEEDS = 4


def drawn(name: str, num_seeds: int = NUM_SEEDS) -> Iterator[tuple[int, dict[str, Any], Item, str]]:
    """Yield level, slots, item and prompt of questions of every level of a task."""
    [task] = [task for task in TASKS if task.name == name]
    for level in range(1, NUM_LEVELS + 1):
        for seed in range(num_seeds):
            prompt, item = task.question(Random(f"{name}/{level}/{seed}"), level)
            yield level, dict(item.slots), item, prompt


def in_answer(item: Item) -> Any:
    """Return the value under "answer" of a gold answer in JSON."""
    return json.loads(item.answer)["answer"]


def numbers(text: str) -> list[int]:
    """Return the whole numbers in a text."""
    return [int(number) for number in re.findall(r"-?\d+", text)]


def names(text: str) -> list[str]:
    """Return the members of a list in prose."""
    return re.split(r", | and ", text)
