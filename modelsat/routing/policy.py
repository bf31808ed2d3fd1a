"""The routing policy: scores, costs, constraints and context become an order and a reason.

The command line, the evaluation and the endpoint all choose by this module. Torch-free.

:func:`rank` orders the candidates of one request, :func:`choose_each` makes the first choice for
many instructions at once; both rest on :func:`lowest_acceptable` and break ties alike: between
equal costs the higher score wins, between equal scores the lower cost, and if both are equal the
candidate that is listed first. An unknown cost is infinite.

Shapes: Q instructions, M candidates, N of them that are ranked. Scores are compared in float64.
"""

import heapq
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from modelsat.errors import RoutingError
from modelsat.routing.admission import Admission, Doubles, Mask
from modelsat.routing.constraints import UNCONSTRAINED, Constraints

# Reasons of a decision.
HIGHEST_SCORE = "highest_score"
HIGHEST_SCORE_ALLOWED = "highest_score_allowed"
HIGHEST_SCORE_HEALTHY = "highest_score_healthy"
CHEAPEST_WITHIN_TOLERANCE = "cheapest_within_tolerance"
CHEAPEST_WITH_MIN_P = "cheapest_with_min_p"
BELOW_MIN_P = "below_min_p"
SESSION = "session"
WARM_NEAR_BEST = "warm_near_best"

Scores: TypeAlias = npt.NDArray[Any]  # float32 or float64
Indices: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True)
class RoutingContext:
    """What counts beside scores, costs and constraints. Candidates are given by index.

    Attributes:
        in_cooldown: candidates that failed lately; they come last.
        stopped: candidates without a running replica.
        session_candidate: the candidate that answered the session before.
        session_margin: the session changes candidate only if another P(correct) is higher by
            more than this.
        cold_start_tolerance: a stopped candidate comes after running ones whose P(correct) is at
            most this much lower; None: requests wait for it to start.
        default_candidate: the first choice when there are no scores; None: the best card.
    """

    in_cooldown: Collection[int] = ()
    stopped: Collection[int] = ()
    session_candidate: int | None = None
    session_margin: float = 0.0
    cold_start_tolerance: float | None = None
    default_candidate: int | None = None


NO_CONTEXT = RoutingContext()


@dataclass(frozen=True)
class Decision:
    """An order of candidates.

    Attributes:
        order: indices of candidates, first choice first; never empty.
        reason: why the first is chosen.
        passed_over: index of the stopped candidate that would be first if it were running.
        unscored: indices of admitted candidates that are left out because they have no score.
    """

    order: list[int]
    reason: str
    passed_over: int | None = None
    unscored: list[int] = field(default_factory=list)


def rank(
    scores_M: Scores,
    costs_M: Doubles,
    admission: Admission,
    constraints: Constraints = UNCONSTRAINED,
    context: RoutingContext = NO_CONTEXT,
) -> Decision:
    """Order the admitted candidates that have a finite score.

    The order is the policy's choice, then its choice without that candidate, and so on. Candidates
    in cool-down come last, in the same order; if all are in cool-down, it does not count. Then the
    session's candidate moves to the front if it is good enough, and every stopped candidate moves
    behind the running ones that are nearly as good, fallbacks included: a fallback that has to
    start first is no better than a first choice that has to.

    Args:
        scores_M: P(correct); NaN where there is none. At least one admitted one is finite.
        costs_M: costs in one unit, infinite where unknown.
        admission: which candidates may be chosen.
        constraints: ``min_p`` and ``tolerance`` are read; the others are in the admission.
        context: what else counts.
    """
    scores_M = scores_M.astype(np.float64)
    finite_M = np.isfinite(scores_M)
    usable: Indices = np.flatnonzero(admission.admitted_M & finite_M)
    healthy, cooling = _split(usable, context)
    policy = _Policy(scores_M, costs_M, constraints, context)
    order = policy.order(healthy)
    reason = policy.reason(order[0], healthy)
    if reason == HIGHEST_SCORE:
        best_score = scores_M[order[0]]
        if (scores_M[admission.by_constraint_M & finite_M] > best_score).any():
            reason = HIGHEST_SCORE_ALLOWED
        elif (scores_M[cooling] > best_score).any():
            reason = HIGHEST_SCORE_HEALTHY
    session = context.session_candidate
    if session is not None and session in order[1:] and policy.keeps(session, order):
        order, reason = [session, *(other for other in order if other != session)], SESSION
    running_first = policy.running_first(order)
    passed_over = None
    if running_first[0] != order[0]:
        passed_over, reason = order[0], WARM_NEAR_BEST
    unscored = np.flatnonzero(admission.admitted_M & ~finite_M).tolist()
    last = policy.running_first(policy.order(cooling)) if len(cooling) else []
    return Decision(running_first + last, reason, passed_over, unscored)


def rank_without_scores(
    accuracy_M: Doubles, admission: Admission, context: RoutingContext, reason: str
) -> Decision:
    """Order the admitted candidates by their cards.

    The session's candidate comes first, then the default candidate, then the highest accuracy.
    Candidates in cool-down and stopped ones move back as in :func:`rank`, with the accuracy in
    place of P(correct).

    Args:
        accuracy_M: accuracy on each card, 0..1.
        admission: which candidates may be chosen; at least one.
        context: what else counts.
        reason: why there are no scores.
    """
    preferred = (context.session_candidate, context.default_candidate)
    first_keys = [np.arange(len(accuracy_M)) != index for index in reversed(preferred)]
    policy = _Policy(accuracy_M, np.zeros_like(accuracy_M), UNCONSTRAINED, context)
    order: list[int] = []
    passed_over = None
    for group in _split(np.flatnonzero(admission.admitted_M), context):
        by_card = np.lexsort([-accuracy_M[group], *(key[group] for key in first_keys)])
        in_order = group[by_card].tolist()
        running_first = policy.running_first(in_order)
        if not order and running_first[0] != in_order[0]:
            passed_over = in_order[0]
        order += running_first
    return Decision(order, reason, passed_over)


def choose_each(
    scores_QM: Scores, costs_M: Doubles | None = None, constraints: Constraints = UNCONSTRAINED
) -> npt.NDArray[np.int64]:
    """The first choice of :func:`rank` for each of many instructions, all candidates admitted.

    Args:
        scores_QM: P(correct); NaN where there is none.
        costs_M: costs in one unit, infinite where unknown; None if no cost is known.
        constraints: ``min_p`` and ``tolerance`` are read.

    Returns:
        Index of the chosen candidate, int64 [Q].

    Raises:
        RoutingError: an instruction has no finite score.
    """
    finite_QM = np.isfinite(scores_QM)
    num_unscored = int((~finite_QM.any(axis=1)).sum())
    if num_unscored:
        raise RoutingError(
            f"no candidate can be chosen for {num_unscored} of {len(scores_QM)} instructions: "
            "none of their scores is finite; check the router, or leave these questions out"
        )
    if costs_M is None:
        costs_M = np.full(scores_QM.shape[1], np.inf)
    scores_QM = np.where(finite_QM, scores_QM.astype(np.float64), -np.inf)
    floor_Q = lowest_acceptable(scores_QM.max(axis=1), constraints)
    acceptable_QM = scores_QM >= floor_Q[:, None]
    lowest_cost_Q = np.where(acceptable_QM, costs_M, np.inf).min(axis=1)
    cheapest_QM = acceptable_QM & (costs_M == lowest_cost_Q[:, None])
    choice_Q: npt.NDArray[np.int64] = np.where(cheapest_QM, scores_QM, -np.inf).argmax(axis=1)
    return choice_Q


def lowest_acceptable(best_scores: Doubles, constraints: Constraints) -> Doubles:
    """The lowest score that is good enough to replace the best score by a cheaper candidate.

    Args:
        best_scores: the best scores, any shape.
        constraints: ``min_p`` and ``tolerance`` are read.

    Returns:
        One limit for each best score; the best score itself if nothing lower is good enough.
    """
    min_p, tolerance = constraints.min_p, constraints.tolerance
    if min_p is None:
        return best_scores if tolerance is None else best_scores - tolerance
    limits = np.full_like(best_scores, min_p)
    if tolerance is not None:
        limits = np.maximum(limits, best_scores - tolerance)
    return np.where(best_scores < min_p, best_scores, limits)


@dataclass(frozen=True)
class _Policy:
    scores_M: Doubles
    costs_M: Doubles
    constraints: Constraints
    context: RoutingContext

    def order(self, candidates: Indices) -> list[int]:
        """Some candidates in the order in which they would be chosen, one after another."""
        scores_N, costs_N = self.scores_M[candidates], self.costs_M[candidates]
        by_score = np.lexsort((costs_N, -scores_N))  # stable: ties stay as listed
        if self.constraints.min_p is None and self.constraints.tolerance is None:
            return _listed(candidates[by_score])
        sorted_N = scores_N[by_score]
        floors_N = lowest_acceptable(sorted_N, self.constraints)
        num_acceptable_N = np.searchsorted(-sorted_N, -floors_N, side="right")
        by_cost = np.lexsort((-scores_N, costs_N))
        cost_rank_N = np.empty_like(by_cost)
        cost_rank_N[by_cost] = np.arange(len(by_cost))
        chosen = _cheapest_acceptable(cost_rank_N[by_score].tolist(), num_acceptable_N.tolist())
        return _listed(candidates[by_cost[chosen]])

    def reason(self, first: int, candidates: Indices) -> str:
        """Why the policy chooses its first candidate."""
        best_score = self.scores_M[candidates].max()
        if self.constraints.min_p is not None and best_score < self.constraints.min_p:
            return BELOW_MIN_P
        best = candidates[self.scores_M[candidates] == best_score]
        if self.scores_M[first] == best_score and self.costs_M[first] == self.costs_M[best].min():
            return HIGHEST_SCORE
        within_tolerance = self.constraints.tolerance is not None
        return CHEAPEST_WITHIN_TOLERANCE if within_tolerance else CHEAPEST_WITH_MIN_P

    def keeps(self, session_candidate: int, order: Sequence[int]) -> bool:
        """Whether the session stays: no other is much better, and its candidate is good enough."""
        best_score = self.scores_M[order].max()
        lead = best_score - self.scores_M[session_candidate]
        is_acceptable_M = self._acceptable_instead_of(order[0])
        return bool(lead <= self.context.session_margin and is_acceptable_M[session_candidate])

    def running_first(self, order: list[int]) -> list[int]:
        """The order with each stopped candidate behind the running ones that are near it."""
        tolerance = self.context.cold_start_tolerance
        if tolerance is None or not self.context.stopped:
            return order
        candidates: Indices = np.array(order, dtype=np.intp)
        running_M = ~_mask(len(self.scores_M), self.context.stopped)
        left_M = _mask(len(self.scores_M), order)
        running_first: list[int] = []
        for index in order:
            if left_M[index] and not running_M[index]:
                near_M = self.scores_M >= self.scores_M[index] - tolerance
                moved_M = left_M & running_M & near_M & self._acceptable_instead_of(index)
                running_first += candidates[moved_M[candidates]].tolist()
                left_M &= ~moved_M
            if left_M[index]:
                running_first.append(index)
                left_M[index] = False
        return running_first

    def _acceptable_instead_of(self, index: int) -> Mask:
        """Candidates that reach ``min_p``; if that one does not either, those as good as it."""
        min_p = self.constraints.min_p
        least = -math.inf if min_p is None else min(min_p, self.scores_M[index])
        return self.scores_M >= least


def _cheapest_acceptable(cost_ranks: list[int], num_acceptable: list[int]) -> list[int]:
    """The order of repeated choices: each time the cheapest that the best one left accepts.

    Args:
        cost_ranks: place of every candidate by cost, best score first.
        num_acceptable: how many candidates, best score first, each one accepts if it is the best.

    Returns:
        The same places by cost, in the order of choice.
    """
    order: list[int] = []
    is_taken = [False] * len(cost_ranks)
    num_seen = num_acceptable[0]
    acceptable = cost_ranks[:num_seen]
    heapq.heapify(acceptable)
    for best, num_accepted in zip(cost_ranks, num_acceptable, strict=True):
        if is_taken[best]:
            continue
        for rank_by_cost in cost_ranks[num_seen:num_accepted]:
            heapq.heappush(acceptable, rank_by_cost)
        num_seen = max(num_seen, num_accepted)
        while not is_taken[best]:
            cheapest = heapq.heappop(acceptable)
            order.append(cheapest)
            is_taken[cheapest] = True
    return order


def _split(candidates: Indices, context: RoutingContext) -> tuple[Indices, ...]:
    """Healthy candidates and those in cool-down; only the former if all are in cool-down."""
    if not context.in_cooldown:
        return candidates, candidates[:0]
    is_cooling = np.isin(candidates, list(context.in_cooldown))
    if is_cooling.all():
        return candidates, candidates[:0]
    return candidates[~is_cooling], candidates[is_cooling]


def _listed(candidates: Indices) -> list[int]:
    listed: list[int] = candidates.tolist()
    return listed


def _mask(num_candidates: int, indices: Collection[int]) -> Mask:
    mask = np.zeros(num_candidates, dtype=np.bool_)
    mask[list(indices)] = True
    return mask
