"""Baselines that need only counts.

Shapes: Q questions, M candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelsat.evaluation.baselines.groups import candidate_rates, fit_card_rates, fit_task_rates
from modelsat.evaluation.baselines.learner import Questions
from modelsat.evaluation.metrics import chosen_correct
from modelsat.outcomes.matrix import Floats, OutcomeMatrix


@dataclass(frozen=True)
class Tuning:
    """How a learned baseline's hyperparameters were chosen.

    Attributes:
        grid: values tried of each hyperparameter.
        setting: the chosen values.
        validation_auc: their AUC over the validation cells of the training data.
    """

    grid: Mapping[str, tuple[float, ...]]
    setting: Mapping[str, float]
    validation_auc: float

    def text(self) -> str:
        """Return each chosen value and its grid as text for people."""
        parts = [
            f"{name} {self.setting[name]:g} of {'/'.join(f'{value:g}' for value in values)}"
            for name, values in self.grid.items()
        ]
        return f"{', '.join(parts)} by validation AUC {self.validation_auc:.3f}"


@dataclass(frozen=True)
class Baseline:
    """A baseline on some questions.

    Attributes:
        name: key in the report.
        correct_Q: expected correctness of its choice, float32 [Q].
        detail: the chosen candidate, or how the choice is made.
        scores_QM: its score of each candidate; it chooses the highest, float32 [Q, M].
        tuning: how its hyperparameters were chosen; None if it has none.
    """

    name: str
    correct_Q: Floats
    detail: str
    scores_QM: Floats
    tuning: Tuning | None = None

    @property
    def accuracy(self) -> float:
        """Share of questions answered correctly."""
        return float(self.correct_Q.mean())


def baselines(matrix: OutcomeMatrix, training: OutcomeMatrix | None) -> dict[str, Baseline]:
    """Compute the baselines that need no embedding, by name.

    Args:
        matrix: the evaluation questions; every candidate answered all of them.
        training: outcomes of the same candidates on other questions. Best single and best per
            task are chosen on them; without them they are chosen in hindsight, which is
            optimistic.
    """
    correct_QM = matrix.correct_QM
    chosen_on = "training outcomes" if training is not None else "these questions, in hindsight"
    basis = training if training is not None else matrix
    empty_QE = np.zeros((len(matrix), 0), dtype=np.float32)
    questions = Questions(empty_QE, matrix.tasks)
    rates_M = candidate_rates(basis.correct_QM).astype(np.float32)
    per_task = fit_task_rates(basis, empty_QE, strength=0.0)
    from_cards = fit_card_rates(basis, empty_QE, strength=0.0)
    results = (
        Baseline(
            "random",
            correct_QM.mean(axis=1),
            "expected value of a uniform choice",
            np.zeros_like(correct_QM),
        ),
        _choice(
            "best_single",
            f"{matrix.candidates[int(rates_M.argmax())]}, chosen on {chosen_on}",
            np.tile(rates_M, (len(matrix), 1)),
            matrix,
        ),
        _choice(
            "best_per_task",
            f"given the task; chosen on {chosen_on}",
            per_task.scores(questions, matrix.cards),
            matrix,
        ),
        _choice(
            "card_lookup",
            "given the task; candidate with the best card statement for it",
            from_cards.scores(questions, matrix.cards),
            matrix,
        ),
        Baseline(
            "oracle",
            correct_QM.max(axis=1),
            "any candidate's correct answer counts",
            correct_QM,
        ),
    )
    return {baseline.name: baseline for baseline in results}


def _choice(name: str, detail: str, scores_QM: Floats, matrix: OutcomeMatrix) -> Baseline:
    correct_Q = chosen_correct(matrix.correct_QM, scores_QM.argmax(axis=1))
    return Baseline(name, correct_Q, detail, scores_QM)
