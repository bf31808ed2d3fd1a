"""Validation metrics agree with counts by hand and with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.training.config import LossConfig
from tests.support.router_parts import make_matrix
from train_jobs.validation import validate

LOSS = LossConfig(in_batch_weight=0.0)
NONE = np.nan


def matrix(outcomes: list[list[float]]) -> OutcomeMatrix:
    """Some instructions of the toy matrix with other outcomes."""
    rows = make_matrix().rows(range(len(outcomes)))
    return replace(rows, correct_QM=np.array(outcomes, dtype=np.float32))


def test_routing_uses_the_best_known_score():
    first = matrix([[1, 0, NONE], [0, 1, NONE], [1, 0, NONE], [1, NONE, NONE]])
    second = matrix([[0, 1, 0]])
    scores = [
        # Right, wrong, right although the unknown cell scores higher, right as the only known cell.
        np.array([[2, 1, 0], [1, 0, 0], [1, 0, 5], [-9, 9, 9]], dtype=np.float32),
        np.array([[0, 200, -200]], dtype=np.float32),
    ]
    found = validate(scores, [first, second], LOSS)
    assert found.routing_accuracy == pytest.approx(4 / 5)
    # The first candidate answers 3 of 4 of the first matrix, the second all of the second.
    assert found.best_single_accuracy == pytest.approx(4 / 5)


def test_metrics_use_only_known_cells():
    rng = np.random.default_rng(0)
    outcomes = (rng.random((40, 3)) < 0.5).astype(np.float32)
    outcomes[rng.random(outcomes.shape) < 0.2] = np.nan
    outcomes[:, 0] = np.nan_to_num(outcomes[:, 0])
    scores = rng.normal(size=outcomes.shape).astype(np.float32)
    found = validate([scores], [matrix(outcomes.tolist())], LOSS)
    known = ~np.isnan(outcomes)
    right, log_odds = outcomes[known].astype(float), scores[known].astype(float)
    assert found.validation_auc == pytest.approx(roc_auc_score(right, log_odds))
    loss = np.mean(np.log1p(np.exp(log_odds)) - right * log_odds)
    assert found.validation_loss == pytest.approx(loss, rel=1e-5)
    probability = 1 / (1 + np.exp(-log_odds))
    bins = np.minimum((probability * 15).astype(int), 14)
    gaps = [abs((probability - right)[bins == b].sum()) for b in range(15)]
    assert found.calibration_error == pytest.approx(sum(gaps) / len(right), rel=1e-5)
