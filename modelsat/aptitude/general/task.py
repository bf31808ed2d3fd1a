"""A task of the general test, and questions by the form of their answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Any

NUM_LEVELS = 5  # of difficulty, in every task


@dataclass(frozen=True)
class Item:
    """One question, before it has an id and before its options have letters.

    Attributes:
        prompt: what the candidate is asked, without lettered options.
        answer: the gold answer, as the grader expects it; of a choice, the text of the right
            option.
        grader: name of the grader.
        args: settings of the grader.
        wrong: the other options of a choice.
    """

    prompt: str
    answer: str
    grader: str
    args: Mapping[str, Any] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


Draw = Callable[[Random, int], Item]  # makes a question of a level from 1 to NUM_LEVELS


@dataclass(frozen=True)
class Task:
    """A core task of the general test.

    Attributes:
        name: slug, unique over the test.
        domain: the domain of the task.
        keywords: five words that describe the task to the router.
        draw: makes a question.
    """

    name: str
    domain: str
    keywords: tuple[str, ...]
    draw: Draw


def tasks_of(domain: str, draws: Mapping[str, tuple[Draw, str]]) -> tuple[Task, ...]:
    """Return the tasks of a domain, from a draw function and comma-separated keywords by name."""
    return tuple(
        Task(name, domain, tuple(keywords.split(", ")), draw)
        for name, (draw, keywords) in draws.items()
    )


def number_item(question: str, answer: int) -> Item:
    """Return a question whose answer is a whole number."""
    return Item(f"{question}\nEnd with the number alone on the last line.", str(answer), "number")


def exact_item(question: str, answer: Fraction) -> Item:
    """Return a question whose answer is a fraction or a whole number, exactly."""
    ending = "End with the exact value alone on the last line: a whole number or a fraction."
    return Item(f"{question}\n{ending}", str(answer), "math")


def json_item(question: str, answer: str | list[Any]) -> Item:
    """Return a question whose answer is a text or a list, in a JSON object."""
    shape = '{"answer": "..."}' if isinstance(answer, str) else '{"answer": [...]}'
    ending = f"End with the answer as JSON, alone on the last line: {shape}"
    return Item(f"{question}\n{ending}", json.dumps({"answer": answer}), "json_schema")


def choice_item(question: str, right: str, wrong: tuple[str, ...]) -> Item:
    """Return a question with one right option."""
    return Item(question, right, "choice", wrong=wrong)


def listed(words: list[str], conjunction: str = "and") -> str:
    """Return words as a list in prose.

    Example:
        >>> listed(["red", "green", "blue"])
        'red, green and blue'
    """
    return f" {conjunction} ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
