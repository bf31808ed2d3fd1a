"""The choice of one candidate by name, by the routing policy. Torch-free."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from modelsat.errors import RoutingError
from modelsat.routing.admission import (
    NO_SCORE,
    Admission,
    Doubles,
    Mask,
    admit,
    constraint_filters,
    matching,
)
from modelsat.routing.constraints import Constraints
from modelsat.routing.policy import rank

Costs = Mapping[str, float | None]

_NO_COSTS: Costs = MappingProxyType({})


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
    """Choose a candidate by name: the first of :func:`rank` without context.

    Args:
        scores: P(correct) by candidate; candidates without a finite score are not chosen.
        constraints: what the caller accepts.
        costs: cost by candidate, all in one unit; absent, None and non-finite costs are unknown.

    Returns:
        The decision. Its reason is ``highest_score`` if the best candidate is chosen,
        ``highest_score_allowed`` if ``models`` or ``max_cost`` excluded a better one,
        ``cheapest_within_tolerance`` or ``cheapest_with_min_p`` if a cheaper one took the place
        of the best (the former if both limits are set), and ``below_min_p`` if no candidate
        reaches ``min_p`` and the best is chosen.

    Raises:
        RoutingError: no candidate can be chosen; the message counts why.
    """
    names = tuple(scores)
    scores_M = np.fromiter(scores.values(), np.float64, len(names))
    known_costs = (costs.get(name) for name in names)
    costs_M = np.array([math.inf if cost is None else cost for cost in known_costs], np.float64)
    costs_M[~np.isfinite(costs_M)] = math.inf

    def matches(patterns: tuple[str, ...]) -> Mask:
        matched = matching(names, patterns)
        return np.array([name in matched for name in names], dtype=np.bool_)

    filters = constraint_filters(constraints, costs_M, matches)
    scored = admit(len(names), [*filters, (np.isfinite(scores_M), NO_SCORE)])
    if not scored.admitted_M.any():
        raise RoutingError(_nothing_to_choose(scored, costs_M))
    decision = rank(scores_M, costs_M, scored, constraints)
    first = decision.order[0]
    return RoutingDecision(names[first], float(scores_M[first]), dict(scores), decision.reason)


def _nothing_to_choose(admission: Admission, costs_M: Doubles) -> str:
    counts = [f"{count} {reason.description}" for reason, count in admission.counts().items()]
    known = costs_M[np.isfinite(costs_M)]
    lowest = f" (known costs start at {known.min():g})" if len(known) else ""
    return (
        f"no candidate can be chosen: none of {len(costs_M)} scores is usable: "
        f"{', '.join(counts) or 'none was given'}{lowest}; relax the constraints or score other "
        "candidates"
    )
