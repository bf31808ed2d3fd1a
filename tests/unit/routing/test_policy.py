"""The routing policy against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.errors import RoutingError
from modelsat.routing.admission import Exclusion, admit
from modelsat.routing.constraints import Constraints
from modelsat.routing.policy import RoutingContext, choose_each, rank, rank_without_scores

# Few values, so that ties are frequent.
SCORE = st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.75, 0.8, 1.0, math.nan, math.inf])
COST = st.sampled_from([0.0, 1.0, 2.0, math.inf])
LIMIT = st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
FLAG = st.booleans()
CONSTRAINTS = st.builds(Constraints, min_p=LIMIT, tolerance=LIMIT)


@st.composite
def situations(draw):
    """Scores, costs, who is admitted, constraints and context of one request."""
    num = draw(st.integers(1, 7))
    scores, costs, admitted, cooling, stopped = (
        draw(st.lists(values, min_size=num, max_size=num))
        for values in (SCORE, COST, FLAG, FLAG, FLAG)
    )
    context = RoutingContext(
        in_cooldown=[index for index in range(num) if cooling[index]],
        stopped=[index for index in range(num) if stopped[index]],
        session_candidate=draw(st.none() | st.integers(0, num - 1)),
        session_margin=draw(st.sampled_from([0.0, 0.25, 0.5])),
        cold_start_tolerance=draw(LIMIT),
        default_candidate=draw(st.none() | st.integers(0, num - 1)),
    )
    return scores, costs, admitted, draw(CONSTRAINTS), context


def chosen_by_loops(left, scores, costs, constraints):
    """The policy's choice, found by looking at one candidate after another."""
    best = left[0]
    for index in left[1:]:
        is_better = scores[index] > scores[best]
        if is_better or (scores[index] == scores[best] and costs[index] < costs[best]):
            best = index
    if constraints.min_p is None and constraints.tolerance is None:
        return best
    if constraints.min_p is not None and scores[best] < constraints.min_p:
        return best
    floor = -math.inf if constraints.min_p is None else constraints.min_p
    if constraints.tolerance is not None and scores[best] - constraints.tolerance > floor:
        floor = scores[best] - constraints.tolerance
    chosen = best
    for index in left:
        if scores[index] < floor:
            continue
        is_cheaper = costs[index] < costs[chosen]
        if is_cheaper or (costs[index] == costs[chosen] and scores[index] > scores[chosen]):
            chosen = index
    return chosen


def is_acceptable_instead(index, first, scores, constraints):
    if constraints.min_p is None or scores[index] >= constraints.min_p:
        return True
    return scores[first] < constraints.min_p and scores[index] >= scores[first]


def running_first_by_loops(order, scores, constraints, context):
    if context.cold_start_tolerance is None:
        return order
    left, moved = list(order), []
    while left:
        head = left[0]
        if head in context.stopped:
            near = [
                index
                for index in left
                if index not in context.stopped
                and scores[index] >= scores[head] - context.cold_start_tolerance
                and is_acceptable_instead(index, head, scores, constraints)
            ]
            moved += near
            left = [index for index in left if index not in near]
        moved.append(head)
        left.remove(head)
    return moved


def order_by_loops(scores, costs, admitted, constraints, context):
    """Candidates in the order of the rules' words, without any array."""
    usable = [i for i, score in enumerate(scores) if admitted[i] and math.isfinite(score)]
    healthy = [index for index in usable if index not in context.in_cooldown] or usable
    result = []
    for group in (healthy, [index for index in usable if index not in healthy]):
        left, order = list(group), []
        while left:
            order.append(chosen_by_loops(left, scores, costs, constraints))
            left.remove(order[-1])
        session = context.session_candidate
        if group is healthy and session in order[1:]:
            lead = max(scores[index] for index in order) - scores[session]
            if lead <= context.session_margin and is_acceptable_instead(
                session, order[0], scores, constraints
            ):
                order.remove(session)
                order.insert(0, session)
        result += running_first_by_loops(order, scores, constraints, context)
    return result


def admission_of(admitted):
    return admit(len(admitted), [(np.array(admitted), Exclusion("left_out", "left out"))])


@settings(max_examples=500)
@given(situations())
def test_the_order_is_that_of_plain_loops(situation):
    scores, costs, admitted, constraints, context = situation
    expected = order_by_loops(*situation)
    if not expected:
        return
    decision = rank(np.array(scores), np.array(costs), admission_of(admitted), constraints, context)
    assert decision.order == expected
    left_out = [i for i, score in enumerate(scores) if admitted[i] and not math.isfinite(score)]
    assert decision.unscored == left_out


@given(
    rows=st.integers(1, 5).flatmap(
        lambda num: st.lists(st.lists(SCORE, min_size=num, max_size=num), min_size=1, max_size=4)
    ),
    costs=st.lists(COST, min_size=5, max_size=5),
    constraints=CONSTRAINTS,
)
def test_many_at_once_are_as_one_at_a_time(rows, costs, constraints):
    num = len(rows[0])
    scores_QM, costs_M = np.array(rows), np.array(costs[:num])
    if not np.isfinite(scores_QM).any(axis=1).all():
        with pytest.raises(RoutingError, match=f"of {len(rows)} instructions"):
            choose_each(scores_QM, costs_M, constraints)
        return
    everybody = admission_of([True] * num)
    one_at_a_time = [
        rank(scores_M, costs_M, everybody, constraints).order[0] for scores_M in scores_QM
    ]
    assert choose_each(scores_QM, costs_M, constraints).tolist() == one_at_a_time
    plain = [
        order_by_loops(row, costs, [True] * num, constraints, RoutingContext())[0] for row in rows
    ]
    assert one_at_a_time == plain


def test_a_tolerance_puts_the_cheap_candidates_that_are_good_enough_first():
    scores, costs = np.array([0.9, 0.85, 0.8, 0.4]), np.array([9.0, 3.0, 5.0, 1.0])
    decision = rank(scores, costs, admission_of([True] * 4), Constraints(tolerance=0.1))
    assert decision.order == [1, 2, 0, 3]


@given(situations())
def test_without_scores_cards_order_the_candidates(situation):
    _, _, admitted, _, context = situation
    accuracies = [0.1 * index for index in range(len(admitted))]
    if not any(admitted):
        return
    usable = [index for index in range(len(admitted)) if admitted[index]]
    healthy = [index for index in usable if index not in context.in_cooldown] or usable
    expected = []
    for group in (healthy, [index for index in usable if index not in healthy]):
        order = sorted(group, reverse=True)
        for preferred in (context.default_candidate, context.session_candidate):
            if preferred in order:
                order.remove(preferred)
                order.insert(0, preferred)
        expected += running_first_by_loops(order, accuracies, Constraints(), context)
    decision = rank_without_scores(
        np.array(accuracies), admission_of(admitted), context, "default_no_text"
    )
    assert (decision.order, decision.reason) == (expected, "default_no_text")
