"""The limits that a demo run must keep, checked on measured figures."""

from collections.abc import Mapping
from typing import Any

from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most

MIN_GAIN_POINTS = 15.0  # router over best single
MIN_SHARE_OF_BEST_PER_TASK = 0.95
MAX_SINGLE_PERCENT = 60.0  # no single candidate may be better overall
MIN_FAMILY_PERCENT = 70.0  # some candidate other than the held-out one, in every family
MIN_HELD_OUT_LEAD_POINTS = 20.0
MAX_HELD_OUT_LOSS_POINTS = 5.0  # held out of training against trained on


def check_router(report: Mapping[str, Any]) -> list[LimitCheck]:
    """Router against best single and best per task."""
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
    """Whether the candidates' differences are what a demonstration needs.

    Args:
        by_family: share correct by candidate and family.
        report: report with every candidate's overall accuracy.
        held_out: the candidate no router was trained on.
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


def check_held_out(
    held_out: Mapping[str, Any],
    trained_on: Mapping[str, Any],
    without: Mapping[str, Any],
    family: str,
) -> list[LimitCheck]:
    """Whether a candidate known by its card alone is used as well as a trained-on one.

    Args:
        held_out: report of the router that never trained on the candidate, which is in the zoo.
        trained_on: report of the same run with the candidate in training.
        without: report of the zoo without the candidate.
        family: the held-out candidate's family.
    """
    measured = 100 * held_out["router"]["by_category"][family]
    same = 100 * trained_on["router"]["by_category"][family]
    absent = 100 * max(
        without["router"]["by_category"][family],
        without["baselines"]["best_per_task"]["by_category"][family],
        without["baselines"]["best_single"]["by_category"][family],
    )
    return [
        at_most("loss by holding out, points", same - measured, MAX_HELD_OUT_LOSS_POINTS),
        at_least("gain over any zoo without it, points", measured - absent, 0.0),
    ]
