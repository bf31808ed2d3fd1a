"""The signs by which a router of this method fails, each with its figure and likely cause.

Shapes: Q questions, M candidates.

Source:
    Signs and causes: Zhang, Zhan, Ye, "Capability Instruction Tuning" (AAAI 2025) and its authors'
    notes on failure. Limits: ours, stated with each.
"""

import time
from collections.abc import Sequence

import numpy as np

from modelsat.errors import ZooError
from modelsat.evaluation.evaluate import complete_rows
from modelsat.evaluation.method_experiments import new_candidates
from modelsat.evaluation.signs import Sign
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.routing.scoring import Scorer

# Scores of one question that differ less between candidates than half of what their overall
# accuracies differ say less than a list of averages does.
MIN_SPREAD_RATIO = 0.5
MAX_SHARE = 0.95  # of requests to one candidate, when another choice per task would do better
MIN_TASK_GAIN = 0.01  # by how much best per task must beat that candidate for it to be a fault
MAX_TIME_RATIO = 1.0  # routing time over the answer time of the fastest candidate
_NUM_TIMED = 20  # requests timed one by one, after one to warm up


def diagnose(
    scorer: Scorer,
    matrix: OutcomeMatrix,
    *,
    new: Sequence[str] = (),
    latency_s: dict[str, float] | None = None,
) -> tuple[Sign, ...]:
    """Look for the four signs on questions with known outcomes.

    Args:
        scorer: the loaded router.
        matrix: candidates, their cards, and outcomes on questions apart from training.
        new: candidates that the router was not trained on.
        latency_s: median time of an answer by candidate, in seconds, where known.

    Raises:
        ZooError: a new candidate is not in the zoo, or there are fewer than two candidates.
        ArtifactError: no question was answered by all candidates.
    """
    if len(matrix.candidates) < 2:
        raise ZooError("a zoo of one candidate leaves nothing to diagnose; give at least two")
    complete = complete_rows(matrix)
    probabilities_QM = scorer.router.calibration.probabilities(
        scorer.log_odds_in_batches(complete.instructions, complete.cards)
    )
    return (
        uniform_scores(probabilities_QM, complete),
        one_choice(probabilities_QM, complete),
        new_candidates(probabilities_QM, complete, new),
        slow_routing(routing_time_s(scorer, complete), latency_s or {}),
    )


def uniform_scores(probabilities_QM: Floats, matrix: OutcomeMatrix) -> Sign:
    """Whether candidates get similar scores although they differ."""
    spread = float(probabilities_QM.std(axis=1).mean())
    apart = float(matrix.correct_QM.mean(axis=0).std())
    ratio = spread / apart if apart else None
    return Sign(
        "near-uniform scores",
        ratio,
        MIN_SPREAD_RATIO,
        None if ratio is None else ratio < MIN_SPREAD_RATIO,
        f"scores of one question spread by {spread:.3f}, accuracies of the candidates by "
        f"{apart:.3f}",
        "encoder and connector learned no alignment: look at stage 1",
    )


def one_choice(probabilities_QM: Floats, matrix: OutcomeMatrix) -> Sign:
    """Whether one candidate is always chosen although others are better on some tasks."""
    shares_M = np.bincount(probabilities_QM.argmax(axis=1), minlength=len(matrix.cards))
    top = int(shares_M.argmax())
    share = float(shares_M[top] / len(matrix))
    tasks = np.array(matrix.tasks)
    best_per_task = sum(
        float(matrix.correct_QM[tasks == task].sum(axis=0).max()) for task in set(matrix.tasks)
    )
    gain = best_per_task / len(matrix) - float(matrix.correct_QM[:, top].mean())
    return Sign(
        "one candidate always chosen",
        share,
        MAX_SHARE,
        share > MAX_SHARE and gain > MIN_TASK_GAIN,
        f"{matrix.candidates[top]} gets {share:.1%} of the requests; the best per task would gain "
        f"{100 * gain:.1f} points on it",
        "overfit to its card: look at the balance of right and wrong answers in training",
    )


def slow_routing(routing_s: float, latency_s: dict[str, float]) -> Sign:
    """Whether a routing decision takes longer than the fastest candidate's answer."""
    cause = "the router is larger than some candidates: take a smaller base model or a GPU"
    name = "slow routing"
    if not latency_s:
        finding = f"one decision takes {1000 * routing_s:.0f} ms; no candidate's time is known"
        return Sign(name, None, MAX_TIME_RATIO, None, finding, cause)
    fastest = min(latency_s, key=lambda candidate: latency_s[candidate])
    ratio = routing_s / latency_s[fastest]
    return Sign(
        name,
        ratio,
        MAX_TIME_RATIO,
        ratio > MAX_TIME_RATIO,
        f"one decision takes {1000 * routing_s:.0f} ms, an answer of {fastest} "
        f"{1000 * latency_s[fastest]:.0f} ms",
        cause,
    )


def routing_time_s(scorer: Scorer, matrix: OutcomeMatrix) -> float:
    """Median time of one decision over the whole zoo, request by request, in seconds."""
    times = []
    for text in (matrix.instructions[0], *matrix.instructions[:_NUM_TIMED]):
        started = time.perf_counter()
        scorer.score([text], matrix.cards)
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))
