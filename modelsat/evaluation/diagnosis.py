"""Known signs of failure of this routing method, each with a figure and a likely cause.

Shapes: Q questions, M candidates.

Source:
    Signs and causes: Zhang, Zhan, Ye, "Capability Instruction Tuning" (AAAI 2025) and its authors'
    notes on failure. The limits are ours.
"""

import time
from collections.abc import Sequence

import numpy as np

from modelsat.errors import ZooError
from modelsat.evaluation.evaluate import complete_rows
from modelsat.evaluation.method_experiments import new_candidates
from modelsat.evaluation.signs import Sign
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.routing.policy import choose_each
from modelsat.routing.scoring import Scorer

# Spread of a question's scores over candidates, relative to the spread of their accuracies. Below
# it, scores say less than a list of averages.
MIN_SPREAD_RATIO = 0.5
MAX_SHARE = 0.95  # share of requests to a candidate, if choices per task would do better
MIN_TASK_GAIN = 0.01  # gain of best per task over that candidate that makes it a fault
MAX_TIME_RATIO = 1.0  # routing time / answer time of the fastest candidate
_NUM_TIMED = 20  # requests timed one by one, after a warm-up request


def diagnose(
    scorer: Scorer,
    matrix: OutcomeMatrix,
    *,
    new: Sequence[str] = (),
    latency_s: dict[str, float] | None = None,
) -> tuple[Sign, ...]:
    """Check the four signs on questions with known outcomes.

    Args:
        scorer: the loaded router.
        matrix: candidates, their cards, and outcomes on questions outside the training data.
        new: candidates that the router was not trained on.
        latency_s: median answer time of candidates in seconds, if known.

    Raises:
        ZooError: a new candidate is not in the zoo, or there are fewer than two candidates.
        ArtifactError: no question was answered by all candidates.
    """
    if len(matrix.candidates) < 2:
        raise ZooError("diagnosis needs at least two candidates")
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
    """Check whether candidates get similar scores although their accuracies differ."""
    spread = float(probabilities_QM.std(axis=1).mean())
    accuracy_spread = float(matrix.correct_QM.mean(axis=0).std())
    ratio = spread / accuracy_spread if accuracy_spread else None
    return Sign(
        "near-uniform scores",
        ratio,
        MIN_SPREAD_RATIO,
        None if ratio is None else ratio < MIN_SPREAD_RATIO,
        f"scores of a question have a standard deviation of {spread:.3f} over candidates, their "
        f"accuracies of {accuracy_spread:.3f}",
        "encoder and connector learned no alignment: check stage 1",
    )


def one_choice(probabilities_QM: Floats, matrix: OutcomeMatrix) -> Sign:
    """Check whether one candidate is always chosen although others are better on some tasks."""
    shares_M = np.bincount(choose_each(probabilities_QM), minlength=len(matrix.cards))
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
        f"{matrix.candidates[top]} gets {share:.1%} of the requests; choosing the best candidate "
        f"per task would gain {100 * gain:.1f} points",
        "overfitting to its card: check the balance of right and wrong answers in training",
    )


def slow_routing(routing_s: float, latency_s: dict[str, float]) -> Sign:
    """Check whether a routing decision takes longer than the fastest candidate's answer."""
    cause = "the router is larger than some candidates: use a smaller base model or a GPU"
    name = "slow routing"
    if not latency_s:
        finding = f"a decision takes {1000 * routing_s:.0f} ms; no candidate's latency is known"
        return Sign(name, None, MAX_TIME_RATIO, None, finding, cause)
    fastest = min(latency_s, key=lambda candidate: latency_s[candidate])
    ratio = routing_s / latency_s[fastest]
    return Sign(
        name,
        ratio,
        MAX_TIME_RATIO,
        ratio > MAX_TIME_RATIO,
        f"a decision takes {1000 * routing_s:.0f} ms, an answer of {fastest} "
        f"{1000 * latency_s[fastest]:.0f} ms",
        cause,
    )


def routing_time_s(scorer: Scorer, matrix: OutcomeMatrix) -> float:
    """Measure the median time of a single routing decision over the whole zoo, in seconds."""
    times = []
    for text in (matrix.instructions[0], *matrix.instructions[:_NUM_TIMED]):
        started = time.perf_counter()
        scorer.score([text], matrix.cards)
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))
