"""Metrics of scores against outcomes."""

import numpy as np
from scipy.stats import rankdata

from modelsat.outcomes.matrix import Floats


def cell_auc(log_odds: Floats, correct: Floats) -> float | None:
    """Return the area under the ROC curve over cells with a known outcome.

    Args:
        log_odds: scores of any shape.
        correct: outcomes of the same shape, right from 0.5 on, NaN where unknown.

    Returns:
        The AUC, 0..1, where equal scores count half; None if all outcomes are right or all wrong.
    """
    known = ~np.isnan(correct)
    positive = correct[known] >= 0.5
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return None
    rank_sum = rankdata(log_odds[known])[positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))
