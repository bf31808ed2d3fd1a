"""Difference of two AUCs over the same cells.

Shapes: Q questions, M candidates.
"""

import numpy as np
import numpy.typing as npt

from modelsat.evaluation.metrics import CONFIDENCE, Interval, cell_auc
from modelsat.outcomes.matrix import Floats, Ints

_NUM_AUC_RESAMPLES = 500  # 10 ms each for 300,000 cells


def auc_gain(scores_QM: Floats, others_QM: Floats, correct_QM: Floats, seed: int = 0) -> Interval:
    """Difference of two predictors' AUC over the same cells, with a paired bootstrap interval.

    Resamples whole questions, since their cells share a difficulty and are not independent.

    Args:
        scores_QM: finite scores of the first predictor.
        others_QM: finite scores of the second predictor.
        correct_QM: outcomes, right from 0.5, none missing.
        seed: seeds the resampling of questions.

    Raises:
        ValueError: all outcomes are equal.
    """
    first, second = cell_auc(scores_QM, correct_QM), cell_auc(others_QM, correct_QM)
    if first is None or second is None:
        raise ValueError("all outcomes are equal; an AUC needs right and wrong answers")
    right_QM = correct_QM >= 0.5
    ranks = [
        np.unique(values_QM, return_inverse=True)[1].reshape(correct_QM.shape)
        for values_QM in (scores_QM, others_QM)
    ]
    rng = np.random.default_rng(seed)
    num_questions = len(correct_QM)
    gains = []
    for _ in range(_NUM_AUC_RESAMPLES):
        counts_Q = np.bincount(rng.integers(num_questions, size=num_questions), None, num_questions)
        weights_QM = np.broadcast_to(counts_Q[:, None], right_QM.shape)
        resampled = [_weighted_auc(rank_QM, right_QM, weights_QM) for rank_QM in ranks]
        gains.append(resampled[0] - resampled[1])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(gains, [tail, 1 - tail])
    return Interval(first - second, float(low), float(high))


def _weighted_auc(rank_QM: Ints, right_QM: npt.NDArray[np.bool_], weights_QM: Ints) -> float:
    """AUC of weighted cells from the ranks of their scores; NaN if undefined."""
    right = np.bincount(rank_QM[right_QM], weights_QM[right_QM])
    wrong = np.bincount(rank_QM[~right_QM], weights_QM[~right_QM], len(right))
    right = np.pad(right, (0, len(wrong) - len(right)))
    num_pairs = right.sum() * wrong.sum()
    if not num_pairs:
        return float("nan")
    return float((right * (np.cumsum(wrong) - wrong / 2)).sum() / num_pairs)
