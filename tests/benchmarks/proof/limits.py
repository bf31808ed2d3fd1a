"""Limit of routing to a candidate that the router was not trained on."""

from collections.abc import Mapping
from typing import Any

from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most

MAX_HELD_OUT_LOSS_POINTS = 5.0  # accuracy with the candidate in training less that without


def check_held_out(
    held_out: Mapping[str, Any],
    trained_on: Mapping[str, Any],
    without: Mapping[str, Any],
    family: str,
) -> list[LimitCheck]:
    """Check that a candidate known by its card alone is used as well as one trained on.

    Args:
        held_out: report of the router that was not trained on the candidate, which is in the zoo.
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
        at_most("loss from holding it out, points", same - measured, MAX_HELD_OUT_LOSS_POINTS),
        at_least("gain over every policy for the zoo without it, points", measured - absent, 0.0),
    ]
