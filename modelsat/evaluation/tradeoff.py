"""Cost-quality trade-off: routing at several tolerances compared with single candidates.

Shapes: Q questions, M candidates. Cost is the mean over questions of the chosen candidate's cost,
in the unit of the costs. It assumes the same number of tokens for every candidate, since outcomes
tables rarely have token counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelsat.config import parse_config
from modelsat.errors import ArtifactError
from modelsat.evaluation.metrics import Ints, chosen_correct
from modelsat.outcomes.matrix import Floats
from modelsat.routing.admission import Doubles
from modelsat.routing.constraints import Constraints
from modelsat.routing.costs import CandidateCosts
from modelsat.routing.policy import choose_each

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# From always the best candidate (0) to always the cheapest (1); densest near 0, where little
# quality is lost.
TOLERANCES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class TradeoffPoint:
    """Cost and accuracy of a policy.

    Attributes:
        tolerance: tolerance of the routing policy; None for a single candidate.
        cost: mean cost of a question, in the unit of the costs.
        accuracy: share of questions answered correctly.
        shares_M: share of questions routed to each candidate, in the candidates' order.
    """

    tolerance: float | None
    cost: float
    accuracy: float
    shares_M: tuple[float, ...]


def cost_quality_curve(
    probabilities_QM: Floats,
    correct_QM: Floats,
    costs_M: Sequence[float],
    tolerances: Sequence[float] = TOLERANCES,
) -> list[TradeoffPoint]:
    """Routing at each tolerance: the cheapest candidate that close to the best.

    Each choice is that of ``modelsat.routing.policy`` with this tolerance alone. Mean cost never
    rises with the tolerance.

    Args:
        probabilities_QM: P(correct), float [Q, M]; candidates without a finite one are not chosen.
        correct_QM: correctness 0..1, float [Q, M], every cell known.
        costs_M: cost of each candidate, finite, 0 or more.
        tolerances: absolute differences of P(correct), 0..1.

    Returns:
        One point per tolerance, in the order given.

    Raises:
        ArtifactError: there is no question, an outcome or cost is missing, or shapes differ.
        ConfigError: a tolerance is outside 0..1.
        RoutingError: a question has no finite probability.
    """
    costs = _checked_costs(correct_QM, costs_M)
    if probabilities_QM.shape != correct_QM.shape:
        raise ArtifactError(
            f"probabilities of shape {probabilities_QM.shape} do not fit outcomes of shape "
            f"{correct_QM.shape}; give one for every question and candidate"
        )
    policies = [
        parse_config(Constraints, {"tolerance": tolerance}, source="trade-off")
        for tolerance in tolerances
    ]
    return [
        _point(policy.tolerance, choose_each(probabilities_QM, costs, policy), correct_QM, costs)
        for policy in policies
    ]


def candidates_alone(correct_QM: Floats, costs_M: Sequence[float]) -> list[TradeoffPoint]:
    """Return the point of each candidate answering every question, in the candidates' order.

    Raises:
        ArtifactError: there is no question, or an outcome or cost is missing.
    """
    costs = _checked_costs(correct_QM, costs_M)
    num_questions, num_candidates = correct_QM.shape
    return [
        _point(None, np.full(num_questions, m, dtype=np.int64), correct_QM, costs)
        for m in range(num_candidates)
    ]


def pareto_front(points: Sequence[TradeoffPoint]) -> list[TradeoffPoint]:
    """Return the points that no other point dominates in cost and accuracy.

    Points of equal cost and accuracy are kept or dropped together. The front is measured on these
    questions: a tolerance chosen from it is tuned on them.

    Returns:
        The front by increasing cost, and so by increasing accuracy.
    """
    front: list[TradeoffPoint] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        last = front[-1] if front else None
        if last is None or point.accuracy > last.accuracy or _equal(point, last):
            front.append(point)
    return front


def tradeoff_report(
    probabilities_QM: Floats, correct_QM: Floats, costs: CandidateCosts
) -> dict[str, Any]:
    """Build the trade-off section of ``report.json``.

    Candidates of unknown cost are excluded, also from the router's choice, and listed.

    Args:
        probabilities_QM: P(correct), float [Q, M].
        correct_QM: correctness 0..1, float [Q, M], every cell known.
        costs: costs of the M candidates, in the order of the columns.

    Raises:
        ArtifactError: no cost is known, or outcomes are missing.
        RoutingError: a question has no finite probability.
    """
    assert probabilities_QM.shape[1] == len(costs.by_candidate), "one cost for every column"
    known = {name: cost for name, cost in costs.by_candidate.items() if cost is not None}
    columns = [m for m, name in enumerate(costs.by_candidate) if name in known]
    costs_M = list(known.values())
    curve = cost_quality_curve(probabilities_QM[:, columns], correct_QM[:, columns], costs_M)
    alone = candidates_alone(correct_QM[:, columns], costs_M)
    front = set(pareto_front([*curve, *alone]))
    return {
        "cost_unit": costs.unit,
        "cost_description": costs.description,
        "left_out": list(costs.unknown),
        "curve": [
            {
                "tolerance": point.tolerance,
                **_figures(point, front),
                "shares": dict(zip(known, point.shares_M, strict=True)),
            }
            for point in curve
        ],
        "candidates": [
            {"candidate": name, **_figures(point, front)}
            for name, point in zip(known, alone, strict=True)
        ],
    }


def tradeoff_plot(axes: "Axes", report: Mapping[str, Any]) -> None:
    """Draw ``report["tradeoff"]``: the router's curve, the candidates, the Pareto front."""
    tradeoff = report["tradeoff"]
    curve, alone = tradeoff["curve"], tradeoff["candidates"]
    front = sorted(
        (row["cost"], 100 * row["accuracy"]) for row in (*curve, *alone) if row["on_pareto_front"]
    )
    axes.step(*zip(*front, strict=True), where="post", color="#d0d7de", label="Pareto front")
    axes.plot(*_points(curve), color="#1f6feb", marker="o", label="router, by tolerance")
    axes.plot(*_points(alone), color="#9aa4b2", marker="s", linestyle="", label="one candidate")
    for row in alone:
        axes.annotate(
            row["candidate"],
            (row["cost"], 100 * row["accuracy"]),
            xytext=(4, -9),
            textcoords="offset points",
            fontsize="x-small",
            parse_math=False,
        )
    axes.margins(x=0.12)  # room for the names
    axes.set_xlabel(f"mean cost ({tradeoff['cost_unit']})")
    axes.set_ylabel("correct answers (%)")
    axes.legend(frameon=False)


def _points(rows: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    return [row["cost"] for row in rows], [100 * row["accuracy"] for row in rows]


def _equal(first: TradeoffPoint, second: TradeoffPoint) -> bool:
    return (first.cost, first.accuracy) == (second.cost, second.accuracy)


def _figures(point: TradeoffPoint, front: set[TradeoffPoint]) -> dict[str, Any]:
    return {
        "cost": point.cost,
        "accuracy": point.accuracy,
        "on_pareto_front": point in front,
    }


def _point(
    tolerance: float | None, choice_Q: Ints, correct_QM: Floats, costs_M: Doubles
) -> TradeoffPoint:
    shares_M = np.bincount(choice_Q, minlength=len(costs_M)) / len(choice_Q)
    return TradeoffPoint(
        tolerance=tolerance,
        # Summed exactly, so that rounding cannot make a more expensive choice look cheaper.
        cost=math.fsum(costs_M[choice_Q]) / len(choice_Q),
        accuracy=float(chosen_correct(correct_QM, choice_Q).mean(dtype=np.float64)),
        shares_M=tuple(shares_M.tolist()),
    )


def _checked_costs(correct_QM: Floats, costs_M: Sequence[float]) -> Doubles:
    costs = np.asarray(costs_M, dtype=np.float64)
    if not correct_QM.size or costs.shape != correct_QM.shape[1:]:
        raise ArtifactError(
            f"outcomes of shape {correct_QM.shape} do not match {costs.size} costs; "
            "pass at least one question, and at least one candidate with a known cost"
        )
    if np.isnan(correct_QM).any():
        raise ArtifactError(
            f"{int(np.isnan(correct_QM).sum())} outcomes are missing; use questions that every "
            "candidate answered"
        )
    if not (np.isfinite(costs) & (costs >= 0)).all():
        raise ArtifactError(
            f"costs {costs.tolist()} must be finite and 0 or more; exclude candidates of unknown "
            "cost"
        )
    return costs
