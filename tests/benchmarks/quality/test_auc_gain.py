"""The gain in AUC and its interval, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.benchmarks.quality.auc_gain import auc_gain


def test_auc_gain_resamples_whole_questions():
    """Agrees with scikit-learn's AUC of the resampled rows; scores have ties."""
    rng = np.random.default_rng(0)
    ease = rng.normal(size=(60, 1))
    correct = (rng.random((60, 4)) < 1 / (1 + np.exp(-ease))).astype(np.float32)
    first = np.round(ease + rng.normal(size=(60, 4)), 1).astype(np.float32)
    second = np.round(rng.normal(size=(60, 4)), 1).astype(np.float32)
    gain = auc_gain(first, second, correct)

    def auc(scores, rows):
        return roc_auc_score(correct[rows].ravel(), scores[rows].ravel())

    draws = np.random.default_rng(0)
    rows = [draws.integers(60, size=60) for _ in range(500)]
    gains = [auc(first, drawn) - auc(second, drawn) for drawn in rows]
    everything = np.arange(60)
    assert gain.difference == pytest.approx(auc(first, everything) - auc(second, everything))
    assert (gain.low, gain.high) == pytest.approx(tuple(np.quantile(gains, [0.025, 0.975])))
    with pytest.raises(ValueError, match="right and wrong"):
        auc_gain(first, second, np.ones_like(correct))
