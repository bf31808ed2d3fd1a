"""The cost-quality curve agrees with the policy, and the front with its definition."""

import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.figure import Figure

from modelsat.errors import ArtifactError, ConfigError, RoutingError
from modelsat.evaluation.tradeoff import (
    TOLERANCES,
    TradeoffPoint,
    candidates_alone,
    cost_quality_curve,
    pareto_front,
    tradeoff_plot,
    tradeoff_report,
)
from modelsat.routing.choice import choose
from modelsat.routing.constraints import Constraints
from modelsat.routing.costs import CandidateCosts

# Few values, so that ties in score and cost are common; 0.1 and 0.7 are not exact in binary.
PROBABILITY = st.sampled_from((0.0, 0.1, 0.5, 0.6, 0.7, 0.8, 1.0, math.nan))


@st.composite
def routed(draw):
    """Probabilities with a finite one in each row, outcomes, costs."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=6))
    probabilities = draw(arrays(np.float32, shape, elements=PROBABILITY.map(np.float32)))
    probabilities[:, 0] = np.nan_to_num(probabilities[:, 0], nan=0.5)
    correct = draw(arrays(np.float32, shape, elements=st.sampled_from((0.0, 0.5, 1.0))))
    costs = draw(arrays(np.float64, shape[1], elements=st.sampled_from((0.0, 0.1, 1.0, 7.0))))
    return probabilities, correct, costs


# Within the tolerance in float32 alone: 0.8 - 0.1 rounds to 0.7 there, and is larger in float64.
@example(
    inputs=(np.float32([[0.7, 0.8]]), np.float32([[0, 1]]), np.array([0.0, 1.0])), tolerance=0.1
)
@given(inputs=routed(), tolerance=st.sampled_from((*TOLERANCES, 0.25, 0.6)))
def test_curve_equals_the_policy_row_by_row(inputs, tolerance):
    probabilities, correct, costs = inputs
    cost_of = dict(enumerate(costs.tolist()))
    chosen = [
        choose(dict(enumerate(row.tolist())), Constraints(tolerance=tolerance), cost_of).candidate
        for row in probabilities
    ]
    (point,) = cost_quality_curve(probabilities, correct, costs, [tolerance])
    assert point.tolerance == tolerance
    assert point.cost == pytest.approx(np.mean([costs[m] for m in chosen]))
    assert point.accuracy == pytest.approx(np.mean([correct[q, m] for q, m in enumerate(chosen)]))
    shares = [chosen.count(m) / len(chosen) for m in range(len(costs))]
    assert point.shares_M == pytest.approx(shares)


@given(inputs=routed())
def test_mean_cost_never_rises_with_the_tolerance(inputs):
    costs = [point.cost for point in cost_quality_curve(*inputs)]
    assert costs == sorted(costs, reverse=True)


def test_curve_ends_at_the_best_and_the_cheapest():
    rng = np.random.default_rng(0)
    probabilities = rng.random((200, 3)).astype(np.float32)
    correct = rng.integers(0, 2, (200, 3)).astype(np.float32)
    costs = [3.0, 1.0, 2.0]
    curve = cost_quality_curve(probabilities, correct, costs)
    best = probabilities.argmax(axis=1)
    assert curve[0].accuracy == pytest.approx(correct[np.arange(200), best].mean())
    assert curve[0].shares_M == pytest.approx(np.bincount(best) / 200)
    alone = candidates_alone(correct, costs)
    assert (curve[-1].cost, curve[-1].shares_M) == (1.0, (0.0, 1.0, 0.0))
    assert curve[-1].accuracy == alone[1].accuracy
    assert [point.cost for point in alone] == costs
    assert [point.accuracy for point in alone] == pytest.approx(correct.mean(axis=0).tolist())


PLACES = st.tuples(st.sampled_from((0.0, 1.0, 2.0, 3.0)), st.sampled_from((0.2, 0.5, 0.9)))


@given(places=st.lists(PLACES, max_size=12))
def test_front_has_all_undominated_points(places):
    points = [
        TradeoffPoint(None, cost, accuracy, (float(i),))
        for i, (cost, accuracy) in enumerate(places)
    ]

    def dominates(one, other):
        no_worse = one.cost <= other.cost and one.accuracy >= other.accuracy
        return no_worse and (one.cost < other.cost or one.accuracy > other.accuracy)

    expected = {p for p in points if not any(dominates(other, p) for other in points)}
    front = pareto_front(points)
    assert set(front) == expected
    assert len(front) == len(expected)
    assert front == sorted(front, key=lambda p: (p.cost, p.accuracy))


GOOD = (np.full((2, 2), 0.5, np.float32), np.ones((2, 2), np.float32), [1.0, 2.0])


@pytest.mark.parametrize(
    ("probabilities", "correct", "costs", "tolerance", "error", "named"),
    [
        (*GOOD, -0.1, ConfigError, "tolerance: .* got -0.1"),
        (*GOOD, math.nan, ConfigError, "tolerance: .* got nan"),
        (GOOD[0][:1], *GOOD[1:], 0.1, ArtifactError, r"shape \(1, 2\) do not fit"),
        (*GOOD[:2], [1.0], 0.1, ArtifactError, "1 costs"),
        (*GOOD[:2], [1.0, math.nan], 0.1, ArtifactError, "must be finite"),
        (*GOOD[:2], [1.0, -2.0], 0.1, ArtifactError, "0 or more"),
        (GOOD[0], GOOD[1] * np.nan, GOOD[2], 0.1, ArtifactError, "4 outcomes are missing"),
        (GOOD[0][:0], GOOD[1][:0], GOOD[2], 0.1, ArtifactError, "at least one question"),
        (
            np.float32([[math.nan] * 2, [0.5] * 2]),
            *GOOD[1:],
            0.1,
            RoutingError,
            "1 of 2 instructions",
        ),
    ],
)
def test_rejects_invalid_input(probabilities, correct, costs, tolerance, error, named):
    with pytest.raises(error, match=named):
        cost_quality_curve(probabilities, correct, costs, [tolerance])


@pytest.fixture
def report():
    """Three candidates, one of unknown cost that would always be chosen."""
    probabilities = np.float32([[0.9, 1.0, 0.5], [0.9, 1.0, 0.85], [0.9, 1.0, 0.4]])
    correct = np.float32([[1, 1, 0], [1, 1, 1], [1, 1, 0]])
    costs = CandidateCosts({"big": 8.0, "<secret>$": None, "small": 2.0}, "params_b", "sizes")
    return tradeoff_report(probabilities, correct, costs)


def test_the_report_by_hand(report):
    assert json.loads(json.dumps(report)) == report
    assert report["left_out"] == ["<secret>$"]
    assert report["cost_unit"] == "params_b"
    rows = {row["tolerance"]: row for row in report["curve"]}
    assert rows[0.0]["shares"] == {"big": 1.0, "small": 0.0}
    assert rows[0.1]["shares"] == pytest.approx({"big": 2 / 3, "small": 1 / 3})
    assert (rows[0.1]["cost"], rows[0.1]["accuracy"]) == (6.0, 1.0)
    assert rows[0.1]["on_pareto_front"]
    assert not rows[0.0]["on_pareto_front"]
    assert report["candidates"] == [
        {"candidate": "big", "cost": 8.0, "accuracy": 1.0, "on_pareto_front": False},
        {
            "candidate": "small",
            "cost": 2.0,
            "accuracy": pytest.approx(1 / 3),
            "on_pareto_front": True,
        },
    ]


def test_rejects_a_report_without_costs():
    costs = CandidateCosts({"a": None, "b": None}, "params_b", "sizes")
    with pytest.raises(ArtifactError, match="at least one candidate with a known cost"):
        tradeoff_report(GOOD[0], GOOD[1], costs)


def test_the_plot_shows_curve_candidates_and_front(report, tmp_path):
    named = {**report["candidates"][0], "candidate": "a$_{$b"}
    report = {**report, "candidates": [named, report["candidates"][1]]}
    axes = Figure().subplots()
    tradeoff_plot(axes, {"tradeoff": report})
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert drawn["router, by tolerance"] == [
        [r["cost"], 100 * r["accuracy"]] for r in report["curve"]
    ]
    assert [2.0, pytest.approx(100 / 3)] in drawn["one candidate"]
    assert drawn["Pareto front"][-1] == [6.0, 100.0]
    assert "params_b" in axes.get_xlabel()
    axes.figure.savefig(tmp_path / "plot.svg")
