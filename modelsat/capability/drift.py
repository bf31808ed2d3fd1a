"""Test whether a candidate still answers its aptitude test as its card states.

A small random slice of the test is repeated and compared with the card's counts, task by task.
The card does not record which questions were correct, so slice and card are two samples of the
same accuracy. Tasks differ in difficulty, so counts are never pooled over tasks; the slice of each
task is compared with the card's statement about that task.

- All tasks together: the exact conditional test of equal odds in all strata (the exact form of
  Cochran, Mantel and Haenszel: Gart, Biometrika 57, 1970; Mehta, Patel and Gray, JASA 80, 1985).
- Each task alone: Fisher's exact test, adjusted for their number by Holm's method.

Both tests assume that slice and card are independent. They share questions, so an unchanged
candidate raises fewer false alarms than the significance level allows, at any temperature.
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

_POWER = 0.8  # power at which the detectable change is computed


@dataclass(frozen=True)
class TaskDrift:
    """The result of the slice on a task.

    Attributes:
        task: its name.
        num_asked: graded answers of the slice.
        num_correct: correct answers among them.
        card_accuracy_fraction: accuracy stated by the card.
        p_value: Fisher's exact test, two-sided, adjusted for the number of tasks.
    """

    task: str
    num_asked: int
    num_correct: int
    card_accuracy_fraction: float
    p_value: float


@dataclass(frozen=True)
class Drift:
    """The comparison of a slice with a card.

    Attributes:
        significance: accepted probability of a false alarm, over all tests together.
        num_asked: graded answers.
        num_correct: correct answers.
        expected_correct: expected number of correct answers according to the card.
        overall_p_value: p-value over all tasks, two-sided.
        p_value: p-value of the whole check: the smaller of the overall and the smallest task
            p-value, doubled because there are two.
        detectable_fraction: smallest uniform change of accuracy that a slice of this size detects
            with 80 % power, by the normal approximation.
        tasks: every task of the slice, smallest p-value first.
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
        """Whether the card is still valid: no test rejects it at the significance level."""
        return self.p_value > self.significance


def draw_slice(tasks: TaskSet, num_questions: int, seed: int) -> tuple[str, ...]:
    """Draw the question ids of a random slice, balanced over tasks to within one question.

    Args:
        tasks: the aptitude test.
        num_questions: size of the slice.
        seed: seed of the draw.

    Raises:
        ConfigError: the test has fewer questions.
    """
    total = len(tasks.question_ids)
    if not 1 <= num_questions <= total:
        raise ConfigError(
            f"cannot draw a slice of {num_questions} questions from an aptitude test of "
            f"{total}; use a number from 1 to {total}"
        )
    rng = Random(f"drift|{seed}|{tasks.tasks_hash}")
    # Round-robin: in each round one question of every task, with the tasks in random order.
    remaining = [rng.sample(task.question_ids, len(task.question_ids)) for task in tasks.tasks]
    drawn: list[str] = []
    while len(drawn) < num_questions:
        rng.shuffle(remaining)
        drawn += [question_ids.pop() for question_ids in remaining if question_ids]
    return tuple(drawn[:num_questions])


def check_drift(
    card: Card, tasks: TaskSet, correct: Mapping[str, float], *, significance: float = 0.01
) -> Drift:
    """Compare answers to a slice with the card.

    Args:
        card: the candidate's card; fractional counts are rounded.
        tasks: the aptitude test of the card.
        correct: score of each question of the slice, 0..1; unanswered questions are omitted, and
            the points of a task are rounded.
        significance: accepted probability of a false alarm, 0..1, over all tests together.

    Raises:
        ConfigError: the significance is outside 0..1.
        GradingError: the card is from another task set, or no question was answered.
    """
    if not 0.0 < significance < 1.0:
        raise ConfigError(f"significance {significance:g} is not between 0 and 1; try 0.01")
    if card.tasks_hash != tasks.tasks_hash:
        raise GradingError(
            f"card of {card.candidate!r} is from task set {card.tasks_hash}, not "
            f"{tasks.tasks_hash}; pass the task set that the candidate was profiled on"
        )
    statements = {statement.task: statement for statement in card.statements}
    strata = []
    for task in tasks.tasks:
        answers = [correct[q] for q in task.question_ids if q in correct]
        if answers and task.task in statements:
            strata.append((statements[task.task], len(answers), round(sum(answers))))
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
    """Adjust p-values for multiple tests by Holm's method (Scand. J. Statist. 6, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _stratified_p_value(strata: Sequence[tuple[int, int, int, int]]) -> float:
    """Two-sided exact p-value of equal odds in all strata.

    Each stratum is (card correct, card shots, slice correct, slice size). Given a task's total of
    correct answers in card and slice, the slice's part is hypergeometric, and the sum over tasks
    follows the convolution. The p-value is twice the smaller tail.
    """
    mass: Floats = np.ones(1)
    observed = 0
    for card_correct, shots, slice_correct, asked in strata:
        support = np.arange(asked + 1)
        pmf = stats.hypergeom.pmf(support, shots + asked, card_correct + slice_correct, asked)
        mass = np.convolve(mass, pmf)
        observed += slice_correct
    tail = min(float(mass[: observed + 1].sum()), float(mass[observed:].sum()))
    return min(1.0, 2.0 * tail)


def _task_drifts(strata: Sequence[tuple[Statement, int, int]]) -> tuple[TaskDrift, ...]:
    raw = []
    for statement, asked, right in strata:
        on_card = round(statement.num_correct)
        table = [[right, asked - right], [on_card, statement.num_shots - on_card]]
        raw.append(float(stats.fisher_exact(table)[1]))
    drifts = [
        TaskDrift(statement.task, asked, right, statement.accuracy_fraction, p_value)
        for (statement, asked, right), p_value in zip(strata, holm(raw), strict=True)
    ]
    ordered = sorted(zip(raw, drifts, strict=True), key=lambda pair: (pair[0], pair[1].task))
    return tuple(drift for _, drift in ordered)


def _detectable_fraction(
    strata: Sequence[tuple[Statement, int, int]], significance: float
) -> float:
    """Smallest change of accuracy that the overall test detects with 80 % power.

    The variance of the difference is the sum over tasks of the variances of slice and card,
    weighted by the slice. The card's accuracy is shrunk towards 1/2 by half an answer, or a task
    with all answers correct would have no variance.
    """
    total = sum(asked for _, asked, _ in strata)
    variance = 0.0
    for statement, asked, _ in strata:
        share = (statement.num_correct + 0.5) / (statement.num_shots + 1)
        task_variance = share * (1 - share) * (1 / asked + 1 / statement.num_shots)
        variance += (asked / total) ** 2 * task_variance
    quantile = stats.norm.ppf(1 - significance / 4) + stats.norm.ppf(_POWER)
    return min(1.0, float(quantile) * math.sqrt(variance))
