"""Metrics of scores against outcomes."""

import numpy as np

from modelsat.outcomes.matrix import Floats


def cell_auc(log_odds: Floats, correct: Floats) -> float | None:
    """Area under the ROC curve over cells with a known outcome; None if a class is absent."""
    known = ~np.isnan(correct)
    scores, positive = log_odds[known], correct[known] >= 0.5
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = mean_rank[inverse][positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))
