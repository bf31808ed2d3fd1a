"""Scores and circumstances become an order of candidates. Plain functions of their arguments.

The order: the policy's, over the candidates that are admitted, have a finite score and are not
cooled down; then those that are cooled down, which the dispatcher skips while they are, in the
policy's order too. Two rules then move candidates: the conversation's comes to the front, and one
that would have to be started goes behind those that run and are nearly as good, wherever it stands,
as a fallback that waits for a start is no better than a first choice that does.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modelsat.routing.policy import (
    HIGHEST_SCORE,
    HIGHEST_SCORE_ALLOWED,
    UNCONSTRAINED,
    Constraints,
    choose,
)
from serve_app.routing.filters import Admission
from serve_app.routing.ordering import policy_order
from serve_app.routing.table import Doubles, Floats, Mask, ZooTable

# Reasons beside those of the policy.
HIGHEST_SCORE_HEALTHY = "highest_score_healthy"
SESSION = "session"
WARM_NEAR_BEST = "warm_near_best"
NO_FINITE_SCORE = "default_no_finite_score"

SCORE_MISSING = "score_missing"  # excluded: just added, or the router gave no number

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Circumstances:
    """What counts beside the scores.

    Attributes:
        is_cooled: whether a candidate is being left alone because it failed.
        availability: running replicas by candidate; whoever is not listed runs.
        held: the candidate of the conversation.
        session_margin: how much better another's P(correct) must be for the conversation to
            leave its candidate.
        cold_start_tolerance: how much worse a running candidate may be than one that would have
            to be started; None: start it and wait.
        default_candidate: who comes first where there are no scores; None: the best card.
    """

    is_cooled: Callable[[str], bool]
    availability: Mapping[str, int]
    held: str | None
    session_margin: float
    cold_start_tolerance: float | None
    default_candidate: str | None


@dataclass(frozen=True)
class Decision:
    """An order of candidates.

    Attributes:
        order: places of the admitted candidates, first the one to ask.
        reason: of the first place.
        passed_over: place of a candidate that has to be started and would be first otherwise.
        unscored: places of admitted candidates that are left out for want of a score.
    """

    order: list[int]
    reason: str
    passed_over: int | None = None
    unscored: list[int] = field(default_factory=list)


def decide(
    table: ZooTable,
    admission: Admission,
    scores_M: Floats,
    constraints: Constraints,
    circumstances: Circumstances,
) -> Decision:
    """Order candidates by scores; by cards where no admitted one has a finite score.

    Args:
        table: the zoo.
        admission: who is admitted; at least one.
        scores_M: P(correct), NaN where there is none.
        constraints: ``min_p`` and ``tolerance`` are read; the others are in the admission.
        circumstances: what else counts.
    """
    is_finite_M = np.isfinite(scores_M)
    usable: Places = np.flatnonzero(admission.admitted_M & is_finite_M)
    if not len(usable):
        return decide_without_scores(table, admission, circumstances, NO_FINITE_SCORE)
    # In float64, as the policy compares Python floats.
    ranking = _Ranking(table, scores_M.astype(np.float64), constraints, circumstances)
    healthy, cooled = _split(table, usable, circumstances)
    order = ranking.policy_order(healthy)
    reason = ranking.policy_reason(order[0], healthy)
    if reason == HIGHEST_SCORE:
        best_score = scores_M[order[0]]
        if np.any(scores_M[admission.unwanted_M] > best_score):
            reason = HIGHEST_SCORE_ALLOWED
        elif np.any(scores_M[cooled] > best_score):
            reason = HIGHEST_SCORE_HEALTHY
    held = table.places.get(circumstances.held or "")
    if held is not None and held in order[1:] and ranking.keeps(held, order):
        order, reason = _moved_to_front(order, held), SESSION
    passed_over = None
    warm_first = ranking.warm_first(order)
    if warm_first[0] != order[0]:
        passed_over, reason = order[0], WARM_NEAR_BEST
    unscored: list[int] = np.flatnonzero(admission.admitted_M & ~is_finite_M).tolist()
    last = ranking.warm_first(ranking.policy_order(cooled))
    return Decision(warm_first + last, reason, passed_over, unscored)


def decide_without_scores(
    table: ZooTable, admission: Admission, circumstances: Circumstances, reason: str
) -> Decision:
    """Order candidates by their cards; first the conversation's, then the default candidate.

    For those that have to be started the accuracy on the card stands for P(correct).

    Args:
        table: the zoo.
        admission: who is admitted; at least one.
        circumstances: what else counts.
        reason: why there are no scores.
    """
    admitted: Places = np.flatnonzero(admission.admitted_M)
    healthy, cooled = _split(table, admitted, circumstances)
    is_default = table.mask_of(filter(None, [circumstances.default_candidate]))
    is_held = table.mask_of(filter(None, [circumstances.held]))
    ranking = _Ranking(table, table.accuracy_M, UNCONSTRAINED, circumstances)
    order: list[int] = []
    passed_over = None
    for group in (healthy, cooled):
        by_card = np.lexsort((-table.accuracy_M[group], ~is_default[group], ~is_held[group]))
        in_order = group[by_card].tolist()
        warm_first = ranking.warm_first(in_order)
        if not order and warm_first[0] != in_order[0]:
            passed_over = in_order[0]
        order += warm_first
    return Decision(order, reason, passed_over)


@dataclass(frozen=True)
class _Ranking:
    table: ZooTable
    scores_M: Doubles
    constraints: Constraints
    circumstances: Circumstances

    def policy_order(self, places: Places) -> list[int]:
        order = policy_order(self.scores_M[places], self.table.costs_M[places], self.constraints)
        return places[order].tolist()

    def policy_reason(self, first: int, places: Places) -> str:
        """What the policy says of its choice; it depends on the best and the chosen only."""
        by_score = np.lexsort((self.table.costs_M[places], -self.scores_M[places]))
        best = int(places[by_score[0]])
        scores = {self.table.names[p]: float(self.scores_M[p]) for p in sorted({best, first})}
        costs = {self.table.names[p]: float(self.table.costs_M[p]) for p in (best, first)}
        wanted = self.constraints.model_copy(update={"models": None, "max_cost": None})
        return choose(scores, wanted, costs).reason

    def keeps(self, held: int, order: list[int]) -> bool:
        """Whether the conversation stays: nobody is much better, and it is good enough."""
        best_score = self.scores_M[order].max()
        near = best_score - self.scores_M[held] <= self.circumstances.session_margin
        return bool(near and self._are_good_enough_instead(order[0])[held])

    def warm_first(self, order: list[int]) -> list[int]:
        """The order with each candidate that has to be started behind running ones near it."""
        tolerance = self.circumstances.cold_start_tolerance
        stopped = [name for name, count in self.circumstances.availability.items() if count == 0]
        if tolerance is None or not stopped:
            return order
        places: Places = np.array(order, dtype=np.intp)
        runs_M = ~self.table.mask_of(stopped)
        left_M = np.zeros_like(runs_M)
        left_M[places] = True
        warm_first: list[int] = []
        for place in order:
            if left_M[place] and not runs_M[place]:
                near_M = self.scores_M >= self.scores_M[place] - tolerance
                moved_M = left_M & runs_M & near_M & self._are_good_enough_instead(place)
                warm_first += places[moved_M[places]].tolist()
                left_M &= ~moved_M
            if left_M[place]:
                warm_first.append(place)
                left_M[place] = False
        return warm_first

    def _are_good_enough_instead(self, first: int) -> Mask:
        """Which candidates reach ``min_p``, or do not while the one replaced does not either."""
        min_p = self.constraints.min_p
        least = -math.inf if min_p is None else min(min_p, self.scores_M[first])
        return self.scores_M >= least


def _split(table: ZooTable, places: Places, circumstances: Circumstances) -> tuple[Places, Places]:
    """Healthy and cooled candidates; all count as healthy where none is."""
    cooled = np.array(
        [circumstances.is_cooled(table.names[place]) for place in places.tolist()], dtype=np.bool_
    )
    if cooled.all():
        return places, places[:0]
    return places[~cooled], places[cooled]


def _moved_to_front(order: list[int], place: int) -> list[int]:
    return [place, *(other for other in order if other != place)]
