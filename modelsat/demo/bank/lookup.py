"""Tasks whose answer follows from one word of the question by a fixed table."""

from collections.abc import Callable, Mapping
from random import Random

from modelsat.demo.bank.spec import Item, TaskSpec
from modelsat.demo.bank.words import EVENTS, NAMES


def parse_pairs(text: str) -> dict[str, str]:
    """Read "key value, key value"."""
    table = {}
    for pair in text.split(","):
        key, value = pair.split()
        table[key] = value
    return table


def draw_lookup(table: Mapping[str, str]) -> Callable[[Random, str], Item]:
    """Questions about one key of a table, told about somebody at some event."""

    def draw(rng: Random, subject: str) -> Item:
        slots = {"it": subject, "who": rng.choice(NAMES), "event": rng.choice(EVENTS)}
        return Item(slots, table[subject])

    return draw


def lookup_task(
    family: str,
    slug: str,
    keywords: tuple[str, str, str, str, str],
    table: Mapping[str, str],
    wordings: tuple[str, ...],
    test_wordings: tuple[str, ...],
) -> TaskSpec:
    """A task that asks for the table's value of a key."""
    domain = tuple(sorted(set(table.values())))
    draw = draw_lookup(table)
    return TaskSpec(
        f"{family}_{slug}", family, keywords, wordings, test_wordings, draw, domain, tuple(table)
    )
