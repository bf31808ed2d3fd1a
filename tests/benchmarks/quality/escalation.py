"""RouteLLM's protocol: which questions to give to the strong of two candidates.

The protocol of RouteLLM (Ong et al., arXiv 2406.18665, section 4): every question gets a score, the
questions above a threshold go to the strong candidate, and the threshold sweeps over the quantiles
of the score.

Shapes: Q questions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.outcomes.matrix import Floats

Doubles = npt.NDArray[np.float64]

_ROUNDING = 1e-9  # a level reached exactly may come out a rounding error below


@dataclass(frozen=True)
class Escalation:
    """How accuracy rises with the share of questions that go to the strong candidate.

    Attributes:
        strong_share: shares, rising from 0 to 1, [Q + 1].
        accuracy: accuracy at each share, [Q + 1].
        apgr: share of the area between always weak and always strong that the score recovers;
            0.5 for a random score.
        cpt50: share of strong calls at which half of the gap in accuracy is closed.
        cpt80: the same for 80 %.
    """

    strong_share: Doubles
    accuracy: Doubles
    apgr: float
    cpt50: float
    cpt80: float


def escalation(score_Q: Floats, strong_Q: Floats, weak_Q: Floats) -> Escalation:
    """Judge a score by the protocol of RouteLLM.

    Questions of one score cross the threshold together in the protocol; here accuracy rises
    linearly over them, which is its expectation when ties are broken at random.

    Args:
        score_Q: higher for questions that need the strong candidate more.
        strong_Q: correctness of the strong candidate.
        weak_Q: correctness of the weak candidate.

    Raises:
        ValueError: the strong candidate is not better than the weak one.
    """
    weak = float(weak_Q.mean(dtype=np.float64))
    strong = float(strong_Q.mean(dtype=np.float64))
    if strong <= weak:
        raise ValueError(f"the strong candidate ({strong:.3f}) must be above the weak ({weak:.3f})")
    gain_Q = _mean_within_ties(score_Q, strong_Q.astype(np.float64) - weak_Q)
    order = np.argsort(-score_Q.astype(np.float64), kind="stable")
    accuracy = weak + np.concatenate([[0.0], np.cumsum(gain_Q[order])]) / len(gain_Q)
    share = np.linspace(0.0, 1.0, len(accuracy))
    area = float(np.trapezoid(accuracy, share))
    return Escalation(
        share,
        accuracy,
        apgr=(area - weak) / (strong - weak),
        cpt50=_share_at(weak + 0.5 * (strong - weak), share, accuracy),
        cpt80=_share_at(weak + 0.8 * (strong - weak), share, accuracy),
    )


def _share_at(level: float, share: Doubles, accuracy: Doubles) -> float:
    return float(share[np.argmax(accuracy >= level - _ROUNDING)])


def _mean_within_ties(score_Q: Floats, values_Q: Doubles) -> Doubles:
    _, group_Q, counts = np.unique(score_Q, return_inverse=True, return_counts=True)
    means = np.bincount(group_Q, weights=values_Q) / counts
    return np.asarray(means[group_Q], dtype=np.float64)
