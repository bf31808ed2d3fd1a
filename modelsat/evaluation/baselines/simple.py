"""Baselines that need no learning beyond counting.

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
    """How a learned baseline came by its setting.

    Attributes:
        grid: the values that were tried of each part of the setting.
        setting: the one chosen.
        validation_auc: its AUC over the validation cells of the training data.
    """

    grid: Mapping[str, tuple[float, ...]]
    setting: Mapping[str, float]
    validation_auc: float

    def text(self) -> str:
        """Each value chosen, and those it was chosen of, for people."""
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
        detail: which candidate it chose, or on what the choice rests.
        scores_QM: what it thinks of each candidate; it chooses the highest, float32 [Q, M].
        tuning: how its setting was chosen; None where it has none.
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
    """The baselines that need no embedding, by name.

    Args:
        matrix: the questions to judge on; every candidate has answered every one.
        training: outcomes of the same candidates on other questions. Best single and best per
            task are chosen there; without it they are chosen in hindsight, which flatters them.
    """
    correct_QM = matrix.correct_QM
    chosen_on = "training outcomes" if training is not None else "these questions, in hindsight"
    basis = training if training is not None else matrix
    none_QE = np.zeros((len(matrix), 0), dtype=np.float32)
    asked = Questions(none_QE, matrix.tasks)
    rates_M = candidate_rates(basis.correct_QM).astype(np.float32)
    per_task = fit_task_rates(basis, none_QE, strength=0.0)
    from_cards = fit_card_rates(basis, none_QE, strength=0.0)
    made = (
        Baseline(
            "random",
            correct_QM.mean(axis=1),
            "expected value of an even draw",
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
            f"told the task; chosen on {chosen_on}",
            per_task.scores(asked, matrix.cards),
            matrix,
        ),
        _choice(
            "card_lookup",
            "told the task; candidate with the best card statement for it",
            from_cards.scores(asked, matrix.cards),
            matrix,
        ),
        Baseline(
            "oracle",
            correct_QM.max(axis=1),
            "any candidate's correct answer counts",
            correct_QM,
        ),
    )
    return {baseline.name: baseline for baseline in made}


def _choice(name: str, detail: str, scores_QM: Floats, matrix: OutcomeMatrix) -> Baseline:
    correct_Q = chosen_correct(matrix.correct_QM, scores_QM.argmax(axis=1))
    return Baseline(name, correct_Q, detail, scores_QM)
