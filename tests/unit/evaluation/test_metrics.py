"""Pair accuracy agrees with counting pairs, and AUC gains with resampling questions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelsat.evaluation.metrics import pair_accuracy

SHAPE = (6, 5)
SCORES = arrays(np.float32, SHAPE, elements=st.sampled_from([-2.0, 0.0, 0.5, 3.0]))
OUTCOMES = arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 0.4, 0.5, 1.0, np.nan]))


def counted_pairs(scores, correct):
    wins = pairs = 0.0
    for own, outcome in zip(scores, correct, strict=True):
        for i in np.flatnonzero(outcome >= 0.5):
            for j in np.flatnonzero(outcome < 0.5):
                pairs += 1
                wins += 1.0 if own[i] > own[j] else 0.5 if own[i] == own[j] else 0.0
    return wins / pairs if pairs else None


@given(SCORES, OUTCOMES)
def test_pair_accuracy_equals_counting_with_ties_and_unknown_outcomes(scores, correct):
    assert pair_accuracy(scores, correct) == pytest.approx(counted_pairs(scores, correct))


@given(SCORES, OUTCOMES, arrays(np.float32, (SHAPE[0], 1), elements=st.integers(-8, 8)))
def test_pair_accuracy_does_not_depend_on_difficulty(scores, correct, offsets):
    assert pair_accuracy(scores + offsets, correct) == pair_accuracy(scores, correct)


def test_pair_accuracy_of_a_single_question_by_hand():
    scores = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 9.0]], dtype=np.float32)
    correct = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, np.nan]], dtype=np.float32)
    assert pair_accuracy(scores, correct) == pytest.approx((1 + 1 + 0.5) / 3)
    assert pair_accuracy(scores, np.ones_like(correct)) is None
