import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.policy import Constraints, choose
from serve_app.routing.ordering import policy_order

# Few values, so that ties are frequent.
PROBABILITIES = st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.75, 0.8, 1.0])
COSTS = st.sampled_from([0.0, 1.0, 2.0, float("inf")])
LIMITS = st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])


def chosen_again_and_again(scores, costs, constraints):
    """The order by its definition: the policy itself, without those chosen before."""
    left = {str(place): score for place, score in enumerate(scores)}
    by_name = {str(place): cost for place, cost in enumerate(costs)}
    order = []
    while left:
        chosen = choose(left, constraints, by_name).candidate
        del left[chosen]
        order.append(int(chosen))
    return order


@given(st.lists(st.tuples(PROBABILITIES, COSTS), min_size=1, max_size=8), LIMITS, LIMITS)
def test_the_order_is_the_policy_applied_again_and_again(cells, min_p, tolerance):
    scores, costs = map(list, zip(*cells, strict=True))
    constraints = Constraints(min_p=min_p, tolerance=tolerance)
    order = policy_order(np.array(scores), np.array(costs), constraints)
    assert list(order) == chosen_again_and_again(scores, costs, constraints)


def test_a_tolerance_puts_the_cheap_ones_that_are_good_enough_first():
    scores, costs = np.array([0.9, 0.85, 0.8, 0.4]), np.array([9.0, 3.0, 5.0, 1.0])
    order = policy_order(scores, costs, Constraints(tolerance=0.1))
    assert list(order) == [1, 2, 0, 3]
