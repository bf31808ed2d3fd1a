"""Limits that the figures of a demo run must meet."""

from collections.abc import Mapping
from typing import Any

from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most

MIN_GAIN_POINTS = 15.0  # accuracy of the router less that of the best single candidate
MIN_SHARE_OF_BEST_PER_TASK = 0.95
MAX_SINGLE_PERCENT = 60.0  # accuracy of the best single candidate
MIN_FAMILY_PERCENT = 70.0  # best candidate of every family, the held-out one left out
MIN_HELD_OUT_LEAD_POINTS = 20.0


def check_router(report: Mapping[str, Any]) -> list[LimitCheck]:
    """Check the router against the best single candidate and the best candidate per task."""
    accuracy = 100 * report["router"]["accuracy"]
    gain = accuracy - 100 * report["best_single"]["accuracy"]
    floor = 100 * MIN_SHARE_OF_BEST_PER_TASK * report["best_per_task"]
    return [
        at_least("router over best single, points", gain, MIN_GAIN_POINTS),
        at_least("router, % (95 % of best per task)", accuracy, floor),
    ]


def check_zoo(
    by_family: Mapping[str, Mapping[str, float]], report: Mapping[str, Any], held_out: str
) -> list[LimitCheck]:
    """Check that the candidates differ as much as a demonstration needs.

    Args:
        by_family: share correct, by candidate and family.
        report: report with every candidate's overall accuracy.
        held_out: name of the candidate that no router was trained on.
    """
    others = [name for name in by_family if name != held_out]
    best_single = 100 * max(report["single_accuracy"].values())
    weakest = 100 * min(
        max(by_family[name][family] for name in others) for family in by_family[held_out]
    )
    own = max(by_family[held_out], key=lambda family: by_family[held_out][family])
    lead = 100 * (by_family[held_out][own] - max(by_family[name][own] for name in others))
    return [
        at_most("best single candidate, %", best_single, MAX_SINGLE_PERCENT),
        at_least("worst family without the held-out one, %", weakest, MIN_FAMILY_PERCENT),
        at_least(f"lead of {held_out} in {own}, points", lead, MIN_HELD_OUT_LEAD_POINTS),
    ]
