"""How well questions and tasks separate candidates: classical test theory on 0..1 outcomes.

Shapes: Q questions, M candidates.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class CandidateAccuracy:
    """A candidate's accuracy on a task.

    Attributes:
        candidate: its name.
        accuracy_fraction: share of correct answers, 0..1.
        interval: 95 % Wilson interval of the accuracy.
    """

    candidate: str
    accuracy_fraction: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Separation:
    """How a task separates candidates, over all questions that every candidate answered.

    Attributes:
        accuracy_fraction: mean correctness over questions and candidates (the difficulty).
        spread_fraction: standard deviation between candidates' accuracies, corrected for the
            binomial noise of the answers.
        reliability: expected reliability of the task's shots if they were drawn uniformly; None
            if all candidates are equal.
        overall_correlation: Pearson correlation over candidates between accuracy on this task and
            on the other tasks' questions; None if either is constant. Near 1 the task adds little
            to the other tasks.
        best: the most accurate candidate, the first by name among equals.
        worst: the least accurate candidate.
    """

    accuracy_fraction: float
    spread_fraction: float
    reliability: float | None
    overall_correlation: float | None
    best: CandidateAccuracy
    worst: CandidateAccuracy


def item_rest_correlation(correct_QM: Floats) -> Floats:
    """Discrimination of each question: its correlation with the score on the other questions.

    The score excludes the question itself, which would otherwise correlate with itself (corrected
    item-total correlation; point-biserial for right and wrong answers).

    Args:
        correct_QM: outcomes of one task, 0..1, float64 [Q, M].

    Returns:
        Correlations, float64 [Q]; 0 if a question or the other questions' score is constant.

    Source:
        Henrysson, "Correction of item-total correlations in item analysis" (1963).
    """
    rest_QM = correct_QM.sum(axis=0) - correct_QM
    return _row_correlation(correct_QM, rest_QM)


def reliability(correct_QM: Floats) -> float | None:
    """Share of the variance between candidates' scores not due to the choice of questions.

    Args:
        correct_QM: outcomes of one task, 0..1, float64 [Q, M], Q > 1.

    Returns:
        At most 1, negative if questions contradict each other; None if all scores are equal.

    Source:
        Cronbach's coefficient alpha (1951); for right and wrong answers KR-20 of Kuder and
        Richardson (1937).
    """
    num_questions = len(correct_QM)
    total = correct_QM.sum(axis=0).var()
    if math.isclose(total, 0.0, abs_tol=1e-12):
        return None
    items = correct_QM.var(axis=1).sum()
    return float(num_questions / (num_questions - 1) * (1 - items / total))


def spearman_brown(value: float, num_questions: int, shots: int) -> float:
    """Predict the reliability of a test of another length (Spearman-Brown formula)."""
    ratio = shots / num_questions
    return ratio * value / (1 + (ratio - 1) * value)


def wilson_interval(num_correct: float, num_answers: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of correct answers.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    share = num_correct / num_answers
    scale = 1 + _Z_95**2 / num_answers
    centre = (share + _Z_95**2 / (2 * num_answers)) / scale
    root = math.sqrt(share * (1 - share) / num_answers + (_Z_95 / (2 * num_answers)) ** 2)
    half = _Z_95 / scale * root
    return max(0.0, centre - half), min(1.0, centre + half)


def spread(correct_QM: Floats) -> float:
    """Standard deviation between candidates' accuracies beyond binomial noise, 0..1.

    Args:
        correct_QM: outcomes of one task, 0..1, float64 [Q, M], Q > 1 and M > 1.
    """
    accuracy_M = correct_QM.mean(axis=0)
    # a (1 - a) / (Q - 1) estimates the variance of a mean of Q answers without bias.
    noise = (accuracy_M * (1 - accuracy_M)).mean() / (len(correct_QM) - 1)
    return math.sqrt(max(0.0, float(accuracy_M.var(ddof=1) - noise)))


def separation(
    correct_QM: Floats, other_tasks_M: Floats, candidates: tuple[str, ...], shots: int
) -> Separation:
    """Describe how a task separates candidates.

    Args:
        correct_QM: outcomes of the task, 0..1, float64 [Q, M], Q > 1 and M > 1.
        other_tasks_M: correct answers of each candidate on the other tasks, float64 [M].
        candidates: M names.
        shots: test length for which the reliability is predicted.
    """
    correct_M = correct_QM.sum(axis=0)
    order = sorted(range(len(candidates)), key=lambda m: (-correct_M[m], candidates[m]))
    full = reliability(correct_QM)
    is_defined = np.ptp(correct_M) > 0 and np.ptp(other_tasks_M) > 0
    correlation = _row_correlation(correct_M[None], other_tasks_M[None])[0] if is_defined else None
    return Separation(
        accuracy_fraction=float(correct_QM.mean()),
        spread_fraction=spread(correct_QM),
        reliability=None if full is None else spearman_brown(full, len(correct_QM), shots),
        overall_correlation=None if correlation is None else float(correlation),
        best=_accuracy(candidates[order[0]], correct_M[order[0]], len(correct_QM)),
        worst=_accuracy(candidates[order[-1]], correct_M[order[-1]], len(correct_QM)),
    )


def _accuracy(candidate: str, num_correct: float, num_answers: int) -> CandidateAccuracy:
    interval = wilson_interval(float(num_correct), num_answers)
    return CandidateAccuracy(candidate, float(num_correct / num_answers), interval)


def _row_correlation(a_NM: Floats, b_NM: Floats) -> Floats:
    a_NM = a_NM - a_NM.mean(axis=1, keepdims=True)
    b_NM = b_NM - b_NM.mean(axis=1, keepdims=True)
    scale_N = np.sqrt((a_NM**2).sum(axis=1) * (b_NM**2).sum(axis=1))
    defined_N = scale_N > 1e-9
    result_N = (a_NM * b_NM).sum(axis=1) / np.where(defined_N, scale_N, 1.0)
    return np.where(defined_N, result_N, 0.0)
