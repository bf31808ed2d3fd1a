"""The choice of one candidate by name."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import RoutingError
from modelsat.routing.admission import matching
from modelsat.routing.choice import choose
from modelsat.routing.constraints import UNCONSTRAINED, Constraints

SCORES = st.dictionaries(st.text(min_size=1), st.floats(0, 1) | st.just(math.nan), min_size=1)

# Few values, so that ties in score and cost are common.
NAMES = ("a1", "a2", "b1", "b2", "c")
SCORE = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0, math.nan, math.inf, -math.inf))
COST = st.sampled_from((0.0, 1.0, 2.0, 8.0, None, math.nan))
FRACTION = st.sampled_from((0.0, 0.25, 0.3, 0.5, 1.0))
LIMIT = st.none() | FRACTION
SCORED = st.dictionaries(st.sampled_from(NAMES), SCORE, min_size=1)
COSTS = st.dictionaries(st.sampled_from(NAMES), COST)
CONSTRAINTS = st.builds(
    Constraints,
    models=st.none() | st.lists(st.sampled_from(("a*", "?2", "c", "b1", "x*")), min_size=1),
    max_cost=st.none() | st.sampled_from((0.0, 1.0, 5.0)),
    min_p=LIMIT,
    tolerance=LIMIT,
)


def cost_of(name, costs):
    cost = costs.get(name)
    return math.inf if cost is None or math.isnan(cost) else cost


def brute_force(scores, constraints, costs):
    """The candidate that no rule speaks against, found by eliminating one at a time."""
    pattern_of = {"a*": "a", "x*": "x"}
    left = []
    for name, score in scores.items():
        is_named = constraints.models is None
        for model in constraints.models or ():
            is_named |= name == model
            is_named |= model in pattern_of and name.startswith(pattern_of[model])
            is_named |= model == "?2" and len(name) == 2 and name[1] == "2"
        within = constraints.max_cost is None or cost_of(name, costs) <= constraints.max_cost
        if is_named and within and -1 <= score <= 2:
            left.append(name)
    if not left:
        return None
    top = max(scores[name] for name in left)
    by_cost = False
    if constraints.min_p is not None:
        enough = [name for name in left if scores[name] >= constraints.min_p]
        left, by_cost = (enough, True) if enough else (left, None)
    if constraints.tolerance is not None and by_cost is not None:
        left = [name for name in left if scores[name] >= top - constraints.tolerance]
        by_cost = True
    for _ in range(len(left) - 1):
        first, second = left[0], left[1]
        gain = scores[second] - scores[first]
        first_cost, second_cost = cost_of(first, costs), cost_of(second, costs)
        saves, spends = second_cost < first_cost, second_cost > first_cost
        if by_cost:
            second_wins = saves or (not spends and gain > 0)
        else:
            second_wins = gain > 0 or (gain == 0 and saves)
        left.remove(first if second_wins else second)
    return left[0]


def chosen_or_none(scores, constraints, costs):
    try:
        return choose(scores, constraints, costs).candidate
    except RoutingError:
        return None


def test_the_highest_score_wins_and_a_tie_goes_to_the_first():
    decision = choose({"a": 0.2, "b": 0.9, "c": 0.9}, UNCONSTRAINED)
    assert (decision.candidate, decision.confidence) == ("b", 0.9)
    assert decision.reason == "highest_score"


@given(scores=SCORES)
def test_a_score_that_is_no_number_never_wins(scores):
    finite = [score for score in scores.values() if not math.isnan(score)]
    if not finite:
        with pytest.raises(RoutingError, match="none of"):
            choose(scores, UNCONSTRAINED)
        return
    assert choose(scores, UNCONSTRAINED).confidence == max(finite)


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(RoutingError, match="none of 0 scores"):
        choose({}, UNCONSTRAINED)


@given(scores=SCORED, constraints=CONSTRAINTS, costs=COSTS)
def test_the_choice_is_that_of_brute_force(scores, constraints, costs):
    expected = brute_force(scores, constraints, costs)
    if expected is None:
        with pytest.raises(RoutingError, match=f"none of {len(scores)} scores is usable"):
            choose(scores, constraints, costs)
        return
    decision = choose(scores, constraints, costs)
    assert decision.candidate == expected
    assert decision.confidence == scores[expected]
    assert decision.scores is not scores
    assert list(decision.scores) == list(scores)


@given(scores=SCORED, constraints=CONSTRAINTS, costs=COSTS)
def test_no_choice_breaks_a_hard_limit(scores, constraints, costs):
    chosen = chosen_or_none(scores, constraints, costs)
    if chosen is None:
        return
    assert math.isfinite(scores[chosen])
    if constraints.models is not None:
        assert matching([chosen], constraints.models) == {chosen}
    if constraints.max_cost is not None:
        assert cost_of(chosen, costs) <= constraints.max_cost


@given(
    scores=SCORED, constraints=CONSTRAINTS, costs=COSTS, tolerances=st.tuples(FRACTION, FRACTION)
)
def test_a_larger_tolerance_is_never_dearer_nor_better(scores, constraints, costs, tolerances):
    strict, lax = (
        chosen_or_none(scores, constraints.model_copy(update={"tolerance": t}), costs)
        for t in sorted(tolerances)
    )
    if strict is None:
        assert lax is None
        return
    assert cost_of(lax, costs) <= cost_of(strict, costs)
    assert scores[lax] <= scores[strict]


@given(scores=SCORED, constraints=CONSTRAINTS, costs=COSTS)
def test_tolerance_zero_is_the_best_but_for_ties(scores, constraints, costs):
    neither, zero = (
        chosen_or_none(scores, constraints.model_copy(update=update), costs)
        for update in (
            {"tolerance": None, "min_p": None},
            {"tolerance": 0.0, "min_p": None},
        )
    )
    assert neither == zero


@given(scores=SCORED, constraints=CONSTRAINTS, costs=COSTS, max_cost=st.floats(0, 10))
def test_a_cost_limit_never_leads_to_a_dearer_candidate(scores, constraints, costs, max_cost):
    free = constraints.model_copy(update={"max_cost": None})
    without = chosen_or_none(scores, free, costs)
    with_limit = chosen_or_none(scores, free.model_copy(update={"max_cost": max_cost}), costs)
    if with_limit is None:
        return
    assert cost_of(with_limit, costs) <= cost_of(without, costs)


@given(scores=SCORED, constraints=CONSTRAINTS, costs=COSTS)
def test_the_order_of_candidates_matters_only_where_score_and_cost_are_equal(
    scores, constraints, costs
):
    chosen = chosen_or_none(scores, constraints, costs)
    for order in permutations(scores):
        other = chosen_or_none({name: scores[name] for name in order}, constraints, costs)
        if chosen is None or other is None:
            assert chosen is other
            continue
        twin = (scores[other], cost_of(other, costs)) == (scores[chosen], cost_of(chosen, costs))
        assert other == chosen or twin


@pytest.mark.parametrize(
    ("limits", "candidate", "reason"),
    [
        ({}, "big", "highest_score"),
        ({"tolerance": 0.1}, "big", "highest_score"),
        ({"tolerance": 0.125}, "mid", "cheapest_within_tolerance"),
        ({"tolerance": 1.0}, "small", "cheapest_within_tolerance"),
        ({"min_p": 0.5}, "small", "cheapest_with_min_p"),
        ({"min_p": 0.625}, "mid", "cheapest_with_min_p"),
        ({"min_p": 0.8}, "big", "highest_score"),
        ({"min_p": 0.875}, "big", "highest_score"),
        ({"min_p": 0.9}, "big", "below_min_p"),
        ({"min_p": 0.9, "tolerance": 1.0}, "big", "below_min_p"),
        ({"min_p": 0.625, "tolerance": 1.0}, "mid", "cheapest_within_tolerance"),
        ({"min_p": 0.5, "tolerance": 0.125}, "mid", "cheapest_within_tolerance"),
        ({"max_cost": 3.0}, "mid", "highest_score_allowed"),
        ({"max_cost": 8.0}, "big", "highest_score"),
        ({"models": ("small", "mi*")}, "mid", "highest_score_allowed"),
        ({"models": ("small", "mi*"), "min_p": 0.5}, "small", "cheapest_with_min_p"),
        ({"models": ("small",), "min_p": 0.625}, "small", "below_min_p"),
    ],
)
def test_the_reason_says_which_rule_chose(limits, candidate, reason):
    scores = {"small": 0.5, "mid": 0.75, "big": 0.875, "broken": math.nan}
    decision = choose(
        scores, Constraints(**limits), {"small": 1.0, "mid": 3.0, "big": 8.0, "broken": 0.0}
    )
    assert (decision.candidate, decision.reason) == (candidate, reason)


def test_an_unknown_cost_is_neither_cheap_nor_below_a_limit():
    scores = {"unknown": 0.9, "dear": 0.9, "cheap": 0.1}
    costs = {"unknown": None, "dear": 100.0}
    within = Constraints(tolerance=0.0)
    assert choose(scores, within, costs).candidate == "dear"
    assert choose(scores, within, {}).candidate == "unknown"
    assert choose({**scores, "unknown": 0.95}, Constraints(max_cost=1e9), costs).candidate == "dear"


def test_the_error_says_what_kept_each_candidate_out():
    scores = {"a": 0.9, "b": 0.8, "c": 0.7, "d": math.nan}
    constraints = Constraints(models=("b", "c", "d"), max_cost=1.5)
    with pytest.raises(RoutingError) as caught:
        choose(scores, constraints, {"a": 1.0, "b": 2.0, "d": 1.0})
    for part in (
        "none of 4 scores is usable",
        "1 not matched by models",
        "1 above max_cost",
        "1 of unknown cost",
        "1 without a finite score",
        "known costs start at 1",
        "relax the constraints",
    ):
        assert part in str(caught.value)
