"""Validation metrics of a router during training."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from modelsat.evaluation.metrics import cell_auc, chosen_correct, expected_calibration_error
from modelsat.modeling.calibration import Calibration
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.training.config import LossConfig
from modelsat.training.loop import all_cells, validation_loss


@dataclass(frozen=True)
class Validation:
    """Metrics of the network on validation instructions and real candidates.

    Effects of known cards and calibration are not included; they are fitted after training.

    Attributes:
        validation_loss: score terms of the training loss, nats.
        validation_auc: AUC over the cells of all matrices; None if a class is absent.
        calibration_error: expected calibration error of the uncalibrated probabilities, 0..1.
        routing_accuracy: mean correctness of the highest-scoring candidate with a known outcome,
            over instructions, 0..1.
        best_single_accuracy: accuracy of the best candidate of each matrix, 0..1.
    """

    validation_loss: float
    validation_auc: float | None
    calibration_error: float
    routing_accuracy: float
    best_single_accuracy: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the metrics as plain values."""
        return asdict(self)


def validate(
    scores: Sequence[Floats], matrices: Sequence[OutcomeMatrix], config: LossConfig
) -> Validation:
    """Compute the metrics of a network's scores.

    Args:
        scores: log-odds [Q, M] of every matrix.
        matrices: their outcomes.
        config: weights of the loss terms.
    """
    log_odds, outcomes = all_cells(scores, matrices)
    chosen, single = [], []
    for scores_QM, matrix in zip(scores, matrices, strict=True):
        known_QM = ~np.isnan(matrix.correct_QM)
        choice_Q = np.where(known_QM, scores_QM, -np.inf).argmax(axis=1)
        chosen.append(chosen_correct(matrix.correct_QM, choice_Q))
        right_M = np.where(known_QM, matrix.correct_QM, 0.0).sum(axis=0)
        best = int((right_M / np.maximum(known_QM.sum(axis=0), 1)).argmax())
        single.append(matrix.correct_QM[known_QM[:, best], best])
    return Validation(
        validation_loss=validation_loss(scores, matrices, config),
        validation_auc=cell_auc(log_odds, outcomes),
        calibration_error=expected_calibration_error(
            Calibration().probabilities(log_odds), outcomes
        ),
        routing_accuracy=float(np.concatenate(chosen).mean()),
        best_single_accuracy=float(np.concatenate(single).mean()),
    )
