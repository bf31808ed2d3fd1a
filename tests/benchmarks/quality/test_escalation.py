"""RouteLLM's protocol, against a threshold swept by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.quality.escalation import escalation
from tests.benchmarks.quality.predictions import Predictions
from tests.benchmarks.quality.routellm import LENGTH, STRONG, WEAK, escalation_rows


def swept(score, strong, weak):
    """Accuracy at every share: the k questions with the highest scores go to the strong one."""
    order = sorted(range(len(score)), key=lambda i: -score[i])
    accuracy = []
    for k in range(len(score) + 1):
        called = set(order[:k])
        accuracy.append(
            sum(strong[i] if i in called else weak[i] for i in range(len(score))) / len(score)
        )
    return accuracy


outcomes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=3, max_size=25)


@given(outcomes, st.randoms(use_true_random=False))
def test_accuracy_and_areas_agree_with_a_sweep(pairs, random):
    strong = np.array([a for a, _ in pairs] + [1.0], dtype=np.float32)
    weak = np.array([b for _, b in pairs] + [0.0], dtype=np.float32)
    if strong.mean() <= weak.mean():
        return
    weak_mean = float(weak.mean(dtype=float))
    gap = float(strong.mean(dtype=float)) - weak_mean
    score = np.array(random.sample(range(1000), len(strong)), dtype=np.float32)
    curve = escalation(score, strong, weak)
    accuracy = swept(score, strong, weak)
    np.testing.assert_allclose(curve.accuracy, accuracy, atol=1e-6)
    area = sum((a + b) / 2 for a, b in pairwise(accuracy)) / len(strong)
    assert curve.apgr == pytest.approx((area - weak_mean) / gap, abs=1e-5)
    for level, reported in ((0.5, curve.cpt50), (0.8, curve.cpt80)):
        reached = [k for k, a in enumerate(accuracy) if a >= weak_mean + level * gap - 1e-9]
        assert reported == pytest.approx(reached[0] / len(strong), abs=1e-6)


def test_a_constant_score_is_a_random_one():
    rng = np.random.default_rng(0)
    strong, weak = (rng.random((2, 400)) < [[0.8], [0.5]]).astype(np.float32)
    curve = escalation(np.zeros(400, dtype=np.float32), strong, weak)
    assert curve.apgr == pytest.approx(0.5)
    assert curve.cpt50 == pytest.approx(0.5, abs=0.003)


def test_the_strong_candidate_must_be_the_better():
    ones, zeros = np.ones(4, dtype=np.float32), np.zeros(4, dtype=np.float32)
    with pytest.raises(ValueError, match="must be above"):
        escalation(ones, zeros, ones)


def test_a_question_is_escalated_where_the_strong_candidate_alone_is_right():
    """Both are good at the first question, where the difference of the two is largest."""
    scores = np.array([[0.99, 0.85], [0.60, 0.50], [0.10, 0.05]], dtype=np.float32)
    words = np.array([[30, 0], [20, 0], [10, 0]], dtype=np.float32)
    correct = np.array([[0, 0], [1, 0], [1, 1]], dtype=np.float32)
    names = ("q0", "q1", "q2")
    pair = Predictions(
        names,
        ("t",) * 3,
        (STRONG, WEAK),
        correct,
        {"router": scores, "ridge": scores, LENGTH: words},
    )
    rows = {row.name: row for row in escalation_rows(pair)}
    alone = scores[:, 0] * (1 - scores[:, 1])
    for name in ("router", "ridge"):
        accuracy = swept(alone, *correct.T)
        np.testing.assert_allclose(rows[name].curve.accuracy, accuracy, atol=1e-6)
        by_difference = escalation(scores[:, 0] - scores[:, 1], *correct.T).apgr
        assert rows[name].apgr_by_gain == pytest.approx(by_difference)
        assert rows[name].apgr_by_gain < rows[name].curve.apgr
    np.testing.assert_allclose(
        rows[LENGTH].curve.accuracy, swept(words[:, 0], *correct.T), atol=1e-6
    )
    assert rows[LENGTH].apgr_by_gain is None
