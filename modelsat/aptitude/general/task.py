"""Tasks of the general test: how a question is drawn, worded and answered."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources import files
from random import Random
from typing import Any

import yaml

from modelsat.aptitude.general.words import NAMES

NUM_LEVELS = 5  # of difficulty, in every task
_NUMBER = "End with the number alone on the last line."
_EXACT = "End with the exact value alone on the last line: a whole number or a fraction."
_JSON = "End with the answer as JSON, alone on the last line: "
_LETTER = "Answer with the letter of the right option alone."


@dataclass(frozen=True)
class Item:
    """The content of one question, before it is worded.

    Attributes:
        answer: the gold answer, as the grader expects it; of a choice, the right option's text.
        slots: values that the wordings use, by name.
        grader: name of the grader.
        ending: how to give the answer; the last line of the prompt.
        args: settings of the grader.
        wrong: the other options of a choice.
    """

    answer: str
    slots: Mapping[str, object]
    grader: str
    ending: str
    args: Mapping[str, Any] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


Draw = Callable[[Random, int], Item]  # draws a question of a level from 1 to NUM_LEVELS


@dataclass(frozen=True)
class Task:
    """A core task of the general test.

    Attributes:
        name: slug, unique over the test.
        domain: the domain of the task, which is also the name of its module.
        keywords: five words that describe the task to the router.
        wordings: texts with slots; each question uses one of them.
        parts: for each level a text for the slot ``part``; empty if no wording has it.
        draw: draws the content of a question.
    """

    name: str
    domain: str
    keywords: tuple[str, ...]
    wordings: tuple[str, ...]
    parts: tuple[str, ...]
    draw: Draw

    def question(self, rng: Random, level: int) -> tuple[str, Item]:
        """Draw a question: its words, without options and ending, and its content."""
        item = self.draw(rng, level)
        slots = {"who": rng.choice(NAMES), **item.slots}
        part = self.parts[level - 1].format(**slots) if self.parts else ""
        return rng.choice(self.wordings).format(part=part, **slots), item


def read_data(name: str) -> Any:
    """Read a YAML file of this package."""
    return yaml.safe_load(files(__package__).joinpath(f"{name}.yaml").read_text("utf-8"))


def read_tasks(domain: str, **draws: Draw) -> tuple[Task, ...]:
    """Return the tasks of a domain, each with its draw; its YAML file has their words."""
    described = read_data(domain)
    return tuple(
        Task(
            name=name,
            domain=domain,
            keywords=tuple(described[name]["keywords"]),
            wordings=tuple(described[name]["wordings"]),
            parts=tuple(described[name].get("parts", ())),
            draw=draw,
        )
        for name, draw in draws.items()
    )


def number(answer: int, **slots: object) -> Item:
    """Return a question whose answer is a whole number."""
    return Item(str(answer), slots, "number", _NUMBER)


def exact(answer: Fraction, **slots: object) -> Item:
    """Return a question whose answer is a whole number or a fraction, exactly."""
    return Item(str(answer), slots, "math", _EXACT)


def in_json(answer: str | Sequence[object], **slots: object) -> Item:
    """Return a question whose answer is a text or a list, in a JSON object."""
    shape = '{"answer": "..."}' if isinstance(answer, str) else '{"answer": [...]}'
    return Item(json.dumps({"answer": answer}), slots, "json_schema", _JSON + shape)


def choice(right: str, wrong: Sequence[str], **slots: object) -> Item:
    """Return a question with one right option."""
    return Item(right, slots, "choice", _LETTER, wrong=tuple(wrong))


def listed(words: Sequence[object]) -> str:
    """Return words as a list in prose.

    Example:
        >>> listed(["red", "green", "blue"])
        'red, green and blue'
    """
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def numbered(lines: Sequence[str]) -> str:
    """Return sentences as a numbered list, one a line."""
    return "\n".join(f"{i}. {text[0].upper()}{text[1:]}." for i, text in enumerate(lines, 1))
