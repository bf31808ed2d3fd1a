"""Tasks of the question bank: description, wordings, and how a question is drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from random import Random

import yaml

CHOICE_LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Item:
    """The content of one question, before it is worded.

    Attributes:
        slots: every value the question depends on, by the name its wordings use. Two items of a
            task with equal slots are the same question.
        answer: the right answer as text.
        distractors: wrong answers to prefer as options; the task's domain provides the rest.
    """

    slots: Mapping[str, str]
    answer: str
    distractors: tuple[str, ...] = ()


Draw = Callable[[Random, str], Item]  # makes one item from a random generator and a subject


@dataclass(frozen=True)
class Content:
    """What the questions of a task are about.

    Attributes:
        draw: makes one item.
        domain: every text that is a valid short answer, in the order of the task.
        subjects: subjects that questions ask about equally often; empty if ``draw`` uses none.
    """

    draw: Draw
    domain: tuple[str, ...]
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskSpec(Content):
    """One task: questions of one kind.

    Attributes:
        name: slug, unique over the bank, starting with the family's name.
        family: name of the family.
        keywords: exactly five words that describe the task.
        wordings: sentences with slots, used in every split; each uses every slot of the item.
        test_wordings: further sentences that occur in the split test only.
    """

    name: str
    family: str
    keywords: tuple[str, ...]
    wordings: tuple[str, ...]
    test_wordings: tuple[str, ...]


def read_tasks(
    family: str, contents: Mapping[str, Content], package: str = "modelsat.demo.bank"
) -> tuple[TaskSpec, ...]:
    """Read the keywords and wordings of a family's tasks from its YAML file.

    Args:
        family: name of the family and of the file.
        contents: content of each task of the file, by slug.
        package: package that holds the file.
    """
    text = files(package).joinpath(f"{family}.yaml").read_text("utf-8")
    return tuple(
        TaskSpec(
            **vars(contents[slug]),
            name=f"{family}_{slug}",
            family=family,
            keywords=tuple(described["keywords"]),
            wordings=tuple(described["wordings"]),
            test_wordings=tuple(described["test_wordings"]),
        )
        for slug, described in yaml.safe_load(text).items()
    )
