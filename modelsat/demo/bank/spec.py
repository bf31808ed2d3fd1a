"""What a task of the question bank is: description, wordings, and how a question is drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

CHOICE_LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Item:
    """The content of one question, before it is worded.

    Attributes:
        slots: every value the question depends on, by the name its wordings use. Two items of a
            task with equal slots are the same question.
        answer: the right answer as text.
        distractors: wrong answers to prefer as options; the task's domain fills what is missing.
    """

    slots: Mapping[str, str]
    answer: str
    distractors: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskSpec:
    """One task: questions of one kind.

    Attributes:
        name: slug, unique over the bank, starting with the family's name.
        family: one of the five families.
        keywords: exactly five words that describe the task.
        wordings: sentences with slots, used in every split; each uses every slot of the item.
        test_wordings: further sentences that occur in the split test only.
        draw: makes one item from a random generator and a subject.
        domain: every text that is a valid short answer, sorted as the task lists them.
        subjects: what the questions are about, asked about equally often; empty where the
            item is drawn freely.
    """

    name: str
    family: str
    keywords: tuple[str, str, str, str, str]
    wordings: tuple[str, ...]
    test_wordings: tuple[str, ...]
    draw: Callable[[Random, str], Item]
    domain: tuple[str, ...]
    subjects: tuple[str, ...] = ()
