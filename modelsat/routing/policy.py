"""Scores become a decision. Torch-free."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from modelsat.errors import RoutingError


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


def choose_best(scores: Mapping[str, float]) -> RoutingDecision:
    """Choose the candidate with the highest score; a tie goes to the one listed first.

    Args:
        scores: P(correct) by candidate; those not finite are passed over.

    Raises:
        RoutingError: no score is given, or none is finite.
    """
    finite = {name: score for name, score in scores.items() if math.isfinite(score)}
    if not finite:
        raise RoutingError(
            f"no candidate can be chosen: none of {len(scores)} scores is a finite number"
        )
    best = max(finite, key=lambda name: finite[name])
    return RoutingDecision(best, finite[best], dict(scores), reason="highest_score")
