"""Scores, constraints and costs become a decision. Torch-free.

What a cost is measured in is the caller's affair; :mod:`modelsat.routing.costs` reads costs
from a zoo file or a candidates table. A cost that is absent, None or not finite is unknown, and
an unknown cost counts as higher than every known one.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from modelsat.config import FrozenConfig
from modelsat.errors import RoutingError

# Reasons of a decision.
HIGHEST_SCORE = "highest_score"
HIGHEST_SCORE_ALLOWED = "highest_score_allowed"
CHEAPEST_WITHIN_TOLERANCE = "cheapest_within_tolerance"
CHEAPEST_WITH_MIN_P = "cheapest_with_min_p"
BELOW_MIN_P = "below_min_p"

Costs = Mapping[str, float | None]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

_NO_COSTS: Costs = MappingProxyType({})


class Constraints(FrozenConfig):
    """What a caller accepts; each field that is None asks for nothing.

    ``models``, ``max_cost`` and a finite score say who may be chosen at all; no choice breaks
    them. Among those, ``min_p`` and ``tolerance`` say which scores are good enough, and the
    cheapest candidate whose score is good enough is chosen. With neither, the best is.

    With both, a score must satisfy both: at least ``min_p``, and within ``tolerance`` of the
    best. Where even the best is below ``min_p``, the best is chosen whatever it costs and
    whatever the tolerance: quality that is already short is not traded away.

    Attributes:
        models: shell patterns (``qwen*``), case-sensitive; a candidate must match one.
        max_cost: highest cost, inclusive, in the unit of the costs; a candidate whose cost is
            unknown is not admitted, as the limit cannot be shown to hold.
        min_p: P(correct) that is good enough, 0..1, inclusive.
        tolerance: how far below the best admitted score is good enough, as an absolute
            difference of P(correct), 0..1, inclusive. 0 leaves only exact ties.
    """

    models: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...] | None, Field(min_length=1)
    ] = None
    max_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    min_p: Probability | None = None
    tolerance: Probability | None = None

    @property
    def needs_costs(self) -> bool:
        """Whether a limit is set that means nothing without costs."""
        return self.max_cost is not None or self.tolerance is not None


UNCONSTRAINED = Constraints()


@dataclass(frozen=True)
class RoutingDecision:
    """The chosen candidate and why.

    Attributes:
        candidate: name of the chosen candidate.
        confidence: its P(correct), 0..1.
        scores: P(correct) of every candidate that was scored; may hold NaN.
        reason: short machine-readable reason.
    """

    candidate: str
    confidence: float
    scores: dict[str, float]
    reason: str


def choose(
    scores: Mapping[str, float], constraints: Constraints, costs: Costs = _NO_COSTS
) -> RoutingDecision:
    """Choose a candidate under constraints.

    Ties: between equal costs the higher score wins, between equal scores the lower cost, and
    where both are equal the candidate listed first. Where no cost is known, ``tolerance`` and
    ``min_p`` therefore leave the choice with the best candidate.

    Args:
        scores: P(correct) by candidate; those not finite are passed over.
        constraints: what the caller accepts.
        costs: cost by candidate, all in one unit; may name candidates without a score.

    Returns:
        The decision. Its reason is ``highest_score`` where the best candidate is chosen,
        ``highest_score_allowed`` where ``models`` or ``max_cost`` kept a better one out,
        ``cheapest_within_tolerance`` or ``cheapest_with_min_p`` where a cheaper one took the
        best one's place (the former where both limits are set), and ``below_min_p`` where no
        candidate reaches ``min_p`` and the best is chosen.

    Raises:
        RoutingError: no candidate is admitted; the message counts why.
    """
    cost = {name: _known_or_infinite(costs.get(name)) for name in scores}
    objections = _objections(scores, cost, constraints)
    admitted = [name for name in scores if name not in objections]
    if not admitted:
        raise RoutingError(_why_nobody(objections, cost))
    best = max(admitted, key=lambda name: (scores[name], -cost[name]))
    chosen, reason = best, HIGHEST_SCORE
    if any(math.isfinite(score) and score > scores[best] for score in scores.values()):
        reason = HIGHEST_SCORE_ALLOWED
    if constraints.min_p is not None and scores[best] < constraints.min_p:
        reason = BELOW_MIN_P
    elif (floor := _good_enough(scores[best], constraints)) is not None:
        acceptable = [name for name in admitted if scores[name] >= floor]
        chosen = min(acceptable, key=lambda name: (cost[name], -scores[name]))
        if chosen != best:
            within_tolerance = constraints.tolerance is not None
            reason = CHEAPEST_WITHIN_TOLERANCE if within_tolerance else CHEAPEST_WITH_MIN_P
    return RoutingDecision(chosen, scores[chosen], dict(scores), reason)


def matching(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """The names that are listed, or match a shell pattern, case-sensitively."""
    # A plain name costs one look-up: an allow-list may name each of a thousand candidates.
    wild = [pattern for pattern in patterns if any(sign in pattern for sign in "*?[")]
    found = set(names)
    return (found & set(patterns)) | {
        n for pattern in wild for n in found if fnmatchcase(n, pattern)
    }


def _known_or_infinite(cost: float | None) -> float:
    return math.inf if cost is None or not math.isfinite(cost) else cost


def _objections(
    scores: Mapping[str, float], cost: Mapping[str, float], constraints: Constraints
) -> dict[str, str]:
    """Why candidates are not admitted, by name."""
    models, max_cost = constraints.models, constraints.max_cost
    allowed = set(scores) if models is None else matching(scores, models)
    objections = {}
    for name, score in scores.items():
        if models is not None and name not in allowed:
            objections[name] = "not among the allowed models"
        elif max_cost is not None and math.isinf(cost[name]):
            objections[name] = "of unknown cost, which max_cost does not admit"
        elif max_cost is not None and cost[name] > max_cost:
            objections[name] = f"above max_cost {max_cost:g}"
        elif not math.isfinite(score):
            objections[name] = "not a finite number"
    return objections


def _good_enough(best_score: float, constraints: Constraints) -> float | None:
    """The lowest score that may replace the best one; None: nothing may."""
    limits = [] if constraints.min_p is None else [constraints.min_p]
    if constraints.tolerance is not None:
        limits.append(best_score - constraints.tolerance)
    return max(limits, default=None)


def _why_nobody(objections: Mapping[str, str], cost: Mapping[str, float]) -> str:
    counts = ", ".join(f"{count} {why}" for why, count in Counter(objections.values()).items())
    lowest = min(cost.values(), default=math.inf)
    known = f" (known costs start at {lowest:g})" if math.isfinite(lowest) else ""
    return (
        f"no candidate can be chosen: none of {len(objections)} scores is usable: "
        f"{counts or 'none was given'}{known}; relax the constraints or score other candidates"
    )
