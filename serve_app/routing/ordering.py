"""The order in which candidates are asked: what the policy chooses, again and again."""

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelsat.routing.policy import Constraints

Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def policy_order(scores_M: Doubles, costs_M: Doubles, constraints: Constraints) -> Sequence[int]:
    """Places of candidates in the order in which the policy would choose them.

    The first is what :func:`modelsat.routing.policy.choose` chooses; the second is what it
    would choose if the first were not there; and so on. Without ``tolerance`` and ``min_p``
    this is the order of the scores. With them, all candidates that are good enough come before
    the rest, the cheapest first; each time the best of those left is taken, the limit of
    ``tolerance`` sinks and may let further ones in.

    Args:
        scores_M: P(correct), finite, float64.
        costs_M: costs, infinite where unknown, float64.
        constraints: ``min_p`` and ``tolerance`` are read.
    """
    # Equal scores: the lower cost first, then as listed; lexsort is stable.
    by_score: Places = np.lexsort((costs_M, -scores_M))
    if constraints.min_p is None and constraints.tolerance is None:
        return by_score.tolist()
    return _cheapest_good_enough_first(by_score.tolist(), scores_M, costs_M, constraints)


def _cheapest_good_enough_first(
    by_score: list[int], scores_M: Doubles, costs_M: Doubles, constraints: Constraints
) -> list[int]:
    scores, costs = scores_M.tolist(), costs_M.tolist()
    order: list[int] = []
    taken = [False] * len(scores)
    good_enough: list[tuple[float, float, int]] = []  # a heap: cheapest, then best, then listed
    num_seen = 0
    for best in by_score:
        if taken[best]:
            continue
        floor = _floor(scores[best], constraints)
        if floor is None:
            order.append(best)
            continue
        while num_seen < len(by_score) and scores[by_score[num_seen]] >= floor:
            place = by_score[num_seen]
            heapq.heappush(good_enough, (costs[place], -scores[place], place))
            num_seen += 1
        while not taken[best]:
            place = heapq.heappop(good_enough)[2]
            order.append(place)
            taken[place] = True
    return order


def _floor(best_score: float, constraints: Constraints) -> float | None:
    """The lowest score that may replace the best one; None: nothing may."""
    min_p, tolerance = constraints.min_p, constraints.tolerance
    if min_p is not None and best_score < min_p:
        return None
    within_tolerance = 0.0 if tolerance is None else best_score - tolerance
    return within_tolerance if min_p is None else max(min_p, within_tolerance)
