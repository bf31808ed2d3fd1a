"""What a router has to beat. Each baseline is a choice of candidate for every question.

Shapes: Q questions, M candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelsat.evaluation.metrics import Ints, chosen_correct
from modelsat.training.data import Floats, OutcomeMatrix


@dataclass(frozen=True)
class Baseline:
    """A baseline on some questions.

    Attributes:
        name: key in the report.
        correct_Q: expected correctness of its choice, float32 [Q].
        detail: which candidate it chose, or on what the choice rests.
    """

    name: str
    correct_Q: Floats
    detail: str

    @property
    def accuracy(self) -> float:
        """Share of questions answered correctly."""
        return float(self.correct_Q.mean())


def baselines(matrix: OutcomeMatrix, training: OutcomeMatrix | None) -> dict[str, Baseline]:
    """All baselines, by name.

    Args:
        matrix: the questions to judge on; every candidate has answered every one.
        training: outcomes of the same candidates on other questions. Best single and best per
            task are chosen there; without it they are chosen in hindsight, which flatters them.
    """
    correct_QM = matrix.correct_QM
    chosen_on = "training outcomes" if training is not None else "these questions, in hindsight"
    basis = training if training is not None else matrix
    single = int(np.nanmean(basis.correct_QM, axis=0).argmax())
    task_choice_Q = _best_per_task(matrix, basis, single)
    card_choice_Q = _best_card(matrix, single)
    made = (
        Baseline("random", correct_QM.mean(axis=1), "expected value of an even draw"),
        Baseline(
            "best_single",
            correct_QM[:, single],
            f"{matrix.candidates[single]}, chosen on {chosen_on}",
        ),
        Baseline(
            "best_per_task",
            chosen_correct(correct_QM, task_choice_Q),
            f"told the task; chosen on {chosen_on}",
        ),
        Baseline(
            "card_lookup",
            chosen_correct(correct_QM, card_choice_Q),
            "told the task; candidate with the best card statement for it",
        ),
        Baseline("oracle", correct_QM.max(axis=1), "any candidate's correct answer counts"),
    )
    return {baseline.name: baseline for baseline in made}


def _best_per_task(matrix: OutcomeMatrix, basis: OutcomeMatrix, single: int) -> Ints:
    best: dict[str, int] = {}
    tasks = np.array(basis.tasks)
    for task in set(basis.tasks):
        correct_QM = basis.correct_QM[tasks == task]
        known_M = (~np.isnan(correct_QM)).sum(axis=0)
        total_M = np.nansum(correct_QM, axis=0)
        best[task] = int((total_M / np.maximum(known_M, 1)).argmax())
    return _choices(matrix, best, single)


def _best_card(matrix: OutcomeMatrix, single: int) -> Ints:
    accuracy = {
        statement.task: [card.statements[t].accuracy_fraction for card in matrix.cards]
        for t, statement in enumerate(matrix.cards[0].statements)
    }
    best = {task: int(np.argmax(shares)) for task, shares in accuracy.items()}
    return _choices(matrix, best, single)


def _choices(matrix: OutcomeMatrix, best: Mapping[str, int], fallback: int) -> Ints:
    return np.array([best.get(task, fallback) for task in matrix.tasks], dtype=np.int64)
