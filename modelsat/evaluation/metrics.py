"""Metrics over questions (Q) and candidates (M)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.outcomes.matrix import Floats

NUM_BINS = 15  # equal-width bins of the calibration error, as in most papers
NUM_RESAMPLES = 2000  # bootstrap resamples; interval bounds then vary by about 0.1 points
CONFIDENCE = 0.95

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A difference with its paired bootstrap interval, as fractions."""

    difference: float
    low: float
    high: float


def paired_bootstrap(correct_Q: Floats, baseline_Q: Floats, seed: int = 0) -> Interval:
    """Compute the difference of two policies' accuracies on the same questions.

    Args:
        correct_Q: correctness of the first policy's choices.
        baseline_Q: correctness of the second policy's choices.
        seed: seeds the resampling of questions.
    """
    gains_Q = correct_Q.astype(np.float64) - baseline_Q
    rng = np.random.default_rng(seed)
    means = [
        gains_Q[rng.integers(len(gains_Q), size=len(gains_Q))].mean() for _ in range(NUM_RESAMPLES)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(gains_Q.mean()), float(low), float(high))


def grouped_mean(values: Floats, groups: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean of grouped values, such as answers to the same question.

    Resamples groups, so that repetitions within a group are not independent evidence.

    Args:
        values: the values.
        groups: the group of each value.
        seed: seeds the resampling.

    Returns:
        Lower and upper bound of the interval.
    """
    _, group_index = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(group_index, values.astype(np.float64)), np.bincount(group_index)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(NUM_RESAMPLES):
        drawn = rng.integers(len(sums), size=len(sums))
        means.append(sums[drawn].sum() / counts[drawn].sum())
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def brier_score(probabilities: Floats, correct: Floats) -> float:
    """Mean squared difference between probability and outcome; lower is better."""
    return float(np.mean((probabilities.astype(np.float64) - correct) ** 2))


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability plot: mean probability, share correct, number of cells."""

    probability: float
    accuracy: float
    count: int


def reliability(probabilities: Floats, correct: Floats) -> tuple[ReliabilityBin, ...]:
    """Return the non-empty equal-width probability bins with their share of correct cells."""
    flat, outcome = probabilities.ravel(), correct.ravel()
    bin_of = np.minimum((flat * NUM_BINS).astype(int), NUM_BINS - 1)
    return tuple(
        ReliabilityBin(
            float(flat[bin_of == b].mean()),
            float(outcome[bin_of == b].mean()),
            int((bin_of == b).sum()),
        )
        for b in np.unique(bin_of)
    )


def expected_calibration_error(probabilities: Floats, correct: Floats) -> float:
    """Mean gap between probability and share correct, weighted by the size of the bins."""
    bins = reliability(probabilities, correct)
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.probability - b.accuracy) for b in bins) / total


def chosen_correct(correct_QM: Floats, choice_Q: Ints) -> Floats:
    """Correctness of the chosen candidates' answers, float32 [Q]."""
    return np.asarray(correct_QM[np.arange(len(choice_Q)), choice_Q], dtype=np.float32)


def pair_accuracy(scores_QM: Floats, correct_QM: Floats) -> float | None:
    """Share of correctly ordered pairs of candidates, one right and one wrong on a question.

    A pair counts fully if the right candidate's score is higher, and half if both are equal.
    Unlike an AUC over all cells, it does not depend on the difficulty of questions, since pairs
    never cross questions.

    Args:
        scores_QM: finite scores.
        correct_QM: outcomes, right from 0.5; NaN (unknown) forms no pair.

    Returns:
        The share over all pairs of all questions; None if there are no pairs.
    """
    from scipy.stats import rankdata  # takes a second, and many commands import this module

    known_QM = ~np.isnan(correct_QM)
    right_QM = correct_QM >= 0.5
    num_right_Q = right_QM.sum(axis=1)
    num_wrong_Q = known_QM.sum(axis=1) - num_right_Q
    num_pairs = int((num_right_Q * num_wrong_Q).sum())
    if not num_pairs:
        return None
    # Unknown cells rank above all known cells and so do not affect their ranks.
    ranks_QM = rankdata(np.where(known_QM, scores_QM, np.inf), axis=1)
    rank_sum = float(ranks_QM[right_QM].sum())
    return (rank_sum - float((num_right_Q * (num_right_Q + 1) / 2).sum())) / num_pairs


def cell_auc(log_odds: Floats, correct: Floats) -> float | None:
    """Return the area under the ROC curve over cells with a known outcome.

    Args:
        log_odds: scores of any shape.
        correct: outcomes of the same shape, right from 0.5 on, NaN where unknown.

    Returns:
        The AUC, 0..1, where equal scores count half; None if all outcomes are right or all wrong.
    """
    from scipy.stats import rankdata

    known = ~np.isnan(correct)
    positive = correct[known] >= 0.5
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return None
    rank_sum = rankdata(log_odds[known])[positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))
