"""Scores become a decision."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import RoutingError
from modelsat.routing.policy import choose_best

SCORES = st.dictionaries(st.text(min_size=1), st.floats(0, 1) | st.just(math.nan), min_size=1)


def test_the_highest_score_wins_and_a_tie_goes_to_the_first():
    decision = choose_best({"a": 0.2, "b": 0.9, "c": 0.9})
    assert (decision.candidate, decision.confidence) == ("b", 0.9)
    assert decision.reason == "highest_score"


@given(scores=SCORES)
def test_a_score_that_is_no_number_never_wins(scores):
    finite = [score for score in scores.values() if not math.isnan(score)]
    if not finite:
        with pytest.raises(RoutingError, match="none of"):
            choose_best(scores)
        return
    assert choose_best(scores).confidence == max(finite)


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(RoutingError, match="none of 0 scores"):
        choose_best({})
