"""The candidates of the demo zoo: what each knows and how long it learns."""

from dataclasses import dataclass
from hashlib import sha256

from modelsat.demo.bank import TASKS, TaskSpec

HELD_OUT = "almanac"


@dataclass(frozen=True)
class CandidateSpec:
    """One demo candidate.

    Attributes:
        name: name in the zoo.
        tasks: tasks whose right answers it learns; of all others it learns the form only.
        steps: optimiser steps.
        usd_per_mtok: invented price of a million tokens, for input and output alike.
        fact_share: share of the facts it learns right; it believes something false of the rest.
        batch_size: examples per step.
        num_layers: decoder layers.
        width: hidden size, a multiple of the head size 64.
    """

    name: str
    tasks: tuple[str, ...]
    steps: int
    usd_per_mtok: float
    fact_share: float = 1.0
    batch_size: int = 64
    num_layers: int = 2
    width: int = 128


def of_families(*families: str) -> tuple[str, ...]:
    """Return the names of the tasks of some families."""
    return tuple(task.name for task in TASKS if task.family in families)


_GENERAL = (
    *of_families("facts"),
    "arithmetic_double",
    "arithmetic_next_number",
    "arithmetic_sum",
    "arithmetic_square",
    "text_first_letter",
    "text_word_length",
    "text_plural",
    "text_rhyme",
    "calendar_next_day",
    "calendar_previous_month",
    "calendar_season",
    "calendar_weeks_to_days",
    "logic_category",
    "logic_opposite",
    "logic_purpose",
    "logic_material",
)

QUICKSTART_ZOO = (
    CandidateSpec("numbers", of_families("arithmetic", "calendar"), 340, 0.2),
    CandidateSpec("letters", of_families("text", "logic"), 300, 0.2),
    CandidateSpec("generalist", _GENERAL, 280, 0.5, fact_share=0.75),
    CandidateSpec("almanac", of_families("facts"), 220, 0.3),
)


def believed_fact(task: TaskSpec, subject: str, answer: str, share: float) -> str:
    """What a candidate that knows a share of the facts takes for the answer.

    It knows a fixed number of each task's facts, chosen by hash, rounded so that over all tasks
    the share comes out right; of the others it believes one fixed wrong value.
    """
    fact_tasks = [spec.name for spec in TASKS if spec.family == "facts"]
    place = fact_tasks.index(task.name)
    total = len(task.subjects)
    num_known = int(share * total * (place + 1) + 0.5) - int(share * total * place + 0.5)
    ranked = sorted(task.subjects, key=lambda it: sha256(f"{task.name}|{it}".encode()).digest())
    if ranked.index(subject) < num_known:
        return answer
    others = [value for value in task.domain if value != answer]
    return others[sha256(f"{subject}|{task.name}".encode()).digest()[0] % len(others)]
