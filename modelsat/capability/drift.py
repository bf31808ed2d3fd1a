"""Whether a candidate still answers its aptitude test as its card says.

A small random slice of the test is asked again and compared with the card's counts, task by
task: the card does not tell which questions were right, so both are samples of one accuracy.
Tasks differ in difficulty, so counts are never pooled over them; the slice of each task is
compared with the card's statement on that task.

- All tasks together: the exact conditional test of equal odds in all strata (the exact form of
  Cochran, Mantel and Haenszel: Gart, Biometrika 57, 1970; Mehta, Patel and Gray, JASA 80, 1985).
- Each task alone: Fisher's exact test, adjusted for their number by Holm's method.

Both tests take slice and card for independent. They share questions, so an unchanged candidate
raises fewer false alarms than the stated level allows, at any temperature.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from scipy import stats

from modelsat.aptitude.separation import Floats
from modelsat.aptitude.tasks import TaskSet
from modelsat.capability.cards import Card, Statement
from modelsat.errors import ConfigError, GradingError

_POWER = 0.8  # with which the stated detectable change is found


@dataclass(frozen=True)
class TaskDrift:
    """One task asked again.

    Attributes:
        task: its name.
        num_asked: answers of the slice that could be graded.
        num_correct: right ones among them.
        card_accuracy_fraction: what the card states.
        p_value: Fisher's exact test, two-sided, adjusted for the number of tasks.
    """

    task: str
    num_asked: int
    num_correct: int
    card_accuracy_fraction: float
    p_value: float


@dataclass(frozen=True)
class Drift:
    """What a slice says of a card.

    Attributes:
        significance: chance of a false alarm that is accepted, of all tests together.
        num_asked: graded answers.
        num_correct: right ones.
        expected_correct: right answers to expect of the slice by the card.
        overall_p_value: of all tasks together, two-sided.
        p_value: of the whole check: the smaller of the overall and the smallest task's, doubled
            because there are two.
        detectable_fraction: change of accuracy on all tasks alike that a slice of this size
            finds in 80 % of cases, by the normal approximation.
        tasks: every task of the slice, the most suspicious first.
    """

    significance: float
    num_asked: int
    num_correct: int
    expected_correct: float
    overall_p_value: float
    p_value: float
    detectable_fraction: float
    tasks: tuple[TaskDrift, ...]

    @property
    def holds(self) -> bool:
        """Whether the card still stands: no test contradicts it at the stated level."""
        return self.p_value > self.significance


def draw_slice(tasks: TaskSet, num_questions: int, seed: int) -> tuple[str, ...]:
    """Question ids of a random slice, as many of each task as of any other or one more.

    Args:
        tasks: the aptitude test.
        num_questions: size of the slice.
        seed: another seed, another slice.

    Raises:
        ConfigError: there are not so many questions.
    """
    total = len(tasks.question_ids)
    if not 1 <= num_questions <= total:
        raise ConfigError(
            f"a slice of {num_questions} questions cannot be drawn from an aptitude test of "
            f"{total}; give a number from 1 to {total}"
        )
    rng = Random(f"drift|{seed}|{tasks.tasks_hash}")
    # Rounds: one question of every task in random order, then the next one of each.
    waiting = [rng.sample(task.question_ids, len(task.question_ids)) for task in tasks.tasks]
    drawn: list[str] = []
    while len(drawn) < num_questions:
        rng.shuffle(waiting)
        drawn += [own.pop() for own in waiting if own]
    return tuple(drawn[:num_questions])


def check_drift(
    card: Card, tasks: TaskSet, correct: Mapping[str, bool], *, significance: float = 0.01
) -> Drift:
    """Compare answers to a slice with the card.

    Args:
        card: of the candidate; fractional counts are rounded.
        tasks: the aptitude test that it is of.
        correct: whether each question of the slice was answered right; questions without an
            answer are left out.
        significance: accepted chance of a false alarm, 0..1, of all tests together.

    Raises:
        ConfigError: the level is outside 0..1.
        GradingError: card and tasks do not belong together, or no question was answered.
    """
    if not 0.0 < significance < 1.0:
        raise ConfigError(f"significance {significance:g} is not between 0 and 1; 0.01 is common")
    if card.tasks_hash != tasks.tasks_hash:
        raise GradingError(
            f"card of {card.candidate!r} is of task set {card.tasks_hash}, not {tasks.tasks_hash}; "
            "give the task set that it was profiled on"
        )
    statements = {statement.task: statement for statement in card.statements}
    strata = []
    for task in tasks.tasks:
        answers = [correct[q] for q in task.question_ids if q in correct]
        if answers:
            strata.append((statements[task.task], len(answers), sum(answers)))
    if not strata:
        raise GradingError(f"candidate {card.candidate!r} answered no question of the slice")
    overall = _stratified_p_value(
        [(round(s.num_correct), s.num_shots, right, asked) for s, asked, right in strata]
    )
    found = _task_drifts(strata)
    p_value = min(1.0, 2.0 * min(overall, found[0].p_value))
    return Drift(
        significance=significance,
        num_asked=sum(asked for _, asked, _ in strata),
        num_correct=sum(right for _, _, right in strata),
        expected_correct=sum(s.accuracy_fraction * asked for s, asked, _ in strata),
        overall_p_value=overall,
        p_value=p_value,
        detectable_fraction=_detectable_fraction(strata, significance),
        tasks=found,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's method (Scand. J. Statist. 6, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _stratified_p_value(strata: Sequence[tuple[int, int, int, int]]) -> float:
    """Two-sided exact p-value of equal odds in all strata of (right, of, right again, asked).

    Given how many answers of a task are right in card and slice together, the slice's share of
    them is hypergeometric; the sum over tasks follows their convolution. Twice the smaller tail.
    """
    mass: Floats = np.ones(1)
    observed = 0
    for right, shots, right_again, asked in strata:
        support = np.arange(asked + 1)
        own = stats.hypergeom.pmf(support, shots + asked, right + right_again, asked)
        mass = np.convolve(mass, own)
        observed += right_again
    tail = min(float(mass[: observed + 1].sum()), float(mass[observed:].sum()))
    return min(1.0, 2.0 * tail)


def _task_drifts(strata: Sequence[tuple[Statement, int, int]]) -> tuple[TaskDrift, ...]:
    raw = []
    for statement, asked, right in strata:
        before = round(statement.num_correct)
        table = [[right, asked - right], [before, statement.num_shots - before]]
        raw.append(float(stats.fisher_exact(table)[1]))
    drifts = [
        TaskDrift(statement.task, asked, right, statement.accuracy_fraction, p_value)
        for (statement, asked, right), p_value in zip(strata, holm(raw), strict=True)
    ]
    place = {id(drift): p_value for drift, p_value in zip(drifts, raw, strict=True)}
    return tuple(sorted(drifts, key=lambda drift: (place[id(drift)], drift.task)))


def _detectable_fraction(
    strata: Sequence[tuple[Statement, int, int]], significance: float
) -> float:
    """Change of accuracy that the overall test finds with 80 % power.

    The difference's variance is that of slice and card on each task, weighted by the slice; the
    card's accuracy is drawn half an answer towards a half, or a perfect task had none.
    """
    total = sum(asked for _, asked, _ in strata)
    variance = 0.0
    for statement, asked, _ in strata:
        share = (statement.num_correct + 0.5) / (statement.num_shots + 1)
        own = share * (1 - share) * (1 / asked + 1 / statement.num_shots)
        variance += (asked / total) ** 2 * own
    quantile = stats.norm.ppf(1 - significance / 4) + stats.norm.ppf(_POWER)
    return min(1.0, float(quantile) * math.sqrt(variance))
