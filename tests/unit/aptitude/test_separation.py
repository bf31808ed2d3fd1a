import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.aptitude.separation import (
    item_rest_correlation,
    reliability,
    separation,
    spearman_brown,
    spread,
    wilson_interval,
)


def some_outcomes(num_questions=30, num_candidates=12, seed=0):
    rng = np.random.default_rng(seed)
    able_M = rng.uniform(0.2, 0.9, num_candidates)
    return (rng.random((num_questions, num_candidates)) < able_M).astype(float)


def test_discrimination_is_item_rest_correlation():
    correct_QM = some_outcomes()
    correct_QM[3] = 1.0  # answered by all: tells nobody apart
    found = item_rest_correlation(correct_QM)
    for i in range(len(correct_QM)):
        others_M = np.delete(correct_QM, i, axis=0).sum(axis=0)
        expected = 0.0 if i == 3 else np.corrcoef(correct_QM[i], others_M)[0, 1]
        assert found[i] == pytest.approx(expected, abs=1e-12)


def test_discrimination_of_a_single_question_is_zero():
    assert item_rest_correlation(np.array([[0.0, 1.0, 1.0]])) == [0.0]


def test_reliability_of_right_and_wrong_answers_is_kr_20():
    correct_QM = some_outcomes()
    share_Q = correct_QM.mean(axis=1)
    total_M = correct_QM.sum(axis=0)
    kr_20 = 30 / 29 * (1 - (share_Q * (1 - share_Q)).sum() / np.var(total_M))
    assert reliability(correct_QM) == pytest.approx(kr_20, abs=1e-12)


def test_equal_candidates_have_no_reliability():
    assert reliability(np.array([[1.0, 0.0], [0.0, 1.0]])) is None


def test_reliability_at_another_length_by_hand():
    assert spearman_brown(0.5, 10, 20) == pytest.approx(2 / 3)  # twice as long: 2 r / (1 + r)
    assert spearman_brown(2 / 3, 20, 10) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("num_correct", "num_answers", "expected"),
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_interval_as_published(num_correct, num_answers, expected):
    assert wilson_interval(num_correct, num_answers) == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 400), st.floats(0, 1))
def test_interval_contains_the_share_and_stays_within_0_and_1(num_answers, share):
    low, high = wilson_interval(share * num_answers, num_answers)
    assert 0.0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1.0


def test_spread_of_candidates_beyond_chance():
    rng = np.random.default_rng(1)
    able_M = rng.normal(0.6, 0.1, 400)
    unequal_QM = (rng.random((40, 400)) < able_M).astype(float)
    equal_QM = (rng.random((40, 400)) < 0.6).astype(float)
    assert spread(unequal_QM) == pytest.approx(able_M.std(), abs=0.01)
    assert spread(equal_QM) < 0.03  # their raw standard deviation is 0.08


def test_separation_by_hand():
    correct_QM = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]], dtype=float)
    found = separation(correct_QM, np.array([3.0, 1.0, 2.0]), ("b", "a", "c"), shots=2)
    assert found.accuracy_fraction == 0.5
    assert (found.best.candidate, found.best.accuracy_fraction) == ("b", 1.0)
    assert (found.worst.candidate, found.worst.accuracy_fraction) == ("c", 0.0)
    assert found.best.interval == pytest.approx(wilson_interval(4, 4))
    assert found.overall_correlation == pytest.approx(0.5)  # of (4, 2, 0) with (3, 1, 2)
    # Each accuracy but a's has no noise; a's is 1/4 / 3, a third of it 1/36.
    assert found.spread_fraction == pytest.approx(math.sqrt(1 / 4 - 1 / 36))
    # Variances: 2/9 a question, 8/3 of the totals; half the length.
    assert found.reliability == pytest.approx(spearman_brown(4 / 3 * (1 - (8 / 9) / (8 / 3)), 4, 2))


def test_no_correlation_if_candidates_are_equal():
    correct_QM = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = separation(correct_QM, np.array([3.0, 1.0]), ("b", "a"), shots=2)
    assert found.overall_correlation is None
    assert found.reliability is None
    assert (found.best.candidate, found.worst.candidate) == ("a", "b")
