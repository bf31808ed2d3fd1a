"""Losses agree with numpy, and groups keep their invariants."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from modelsat.training.config import LossConfig
from modelsat.training.losses import (
    alignment_loss,
    in_batch_loss,
    pointwise_loss,
    sample_groups,
    scoring_loss,
    term_weights,
)

OUTCOMES = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 5)),
    elements=st.sampled_from([0.0, 1.0, 0.25, 0.75, np.nan]),
)


def numpy_in_batch_loss(log_odds: np.ndarray) -> float:
    """Eq. 5 in numpy: minus the log share of the positive among the group's exponentials."""
    shifted = log_odds - log_odds.max(axis=1, keepdims=True)
    share = np.exp(shifted[:, 0]) / np.exp(shifted).sum(axis=1)
    return float(-np.log(share).mean())


def test_in_batch_loss_equals_numpy():
    log_odds = np.random.default_rng(0).normal(size=(7, 4))
    assert float(in_batch_loss(torch.from_numpy(log_odds))) == pytest.approx(
        numpy_in_batch_loss(log_odds)
    )


def test_in_batch_loss_by_hand():
    assert float(in_batch_loss(torch.zeros(3, 4))) == pytest.approx(np.log(4))
    assert float(in_batch_loss(torch.tensor([[30.0, 0.0, 0.0, 0.0]]))) == pytest.approx(0, abs=1e-6)


def test_only_the_pointwise_term_determines_a_candidates_level():
    log_odds = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32))
    correct = np.array([[1, 0, 1], [0, 1, 0]] * 3, dtype=np.float32)
    shifted = log_odds + torch.tensor([0.0, 5.0, 0.0])

    def loss(scores: torch.Tensor, in_batch: float, pointwise: float) -> float:
        config = LossConfig(in_batch_weight=in_batch, pointwise_weight=pointwise)
        return float(scoring_loss(scores, correct, config, np.random.default_rng(2)))

    assert loss(shifted, 1.0, 0.0) == pytest.approx(loss(log_odds, 1.0, 0.0), abs=1e-5)
    assert loss(shifted, 0.0, 1.0) > loss(log_odds, 0.0, 1.0) + 0.5


def test_pointwise_loss_ignores_unknown_cells():
    log_odds = torch.tensor([[0.3, -2.0], [1.5, 0.0]])
    correct = torch.tensor([[1.0, float("nan")], [0.0, 0.25]])
    p = 1 / (1 + np.exp(-np.array([0.3, 1.5, 0.0])))
    y = np.array([1.0, 0.0, 0.25])
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert float(pointwise_loss(log_odds, correct)) == pytest.approx(expected)


def test_loss_does_not_depend_on_the_number_of_passes():
    rng = np.random.default_rng(6)
    log_odds = torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32))
    correct = (rng.random((8, 3)) < 0.5).astype(np.float32)
    correct[:5, 2] = np.nan
    config = LossConfig(in_batch_weight=0.0)
    parts = [slice(0, 3), slice(3, 8)]
    statement = [np.zeros(len(correct[part]), dtype=np.int64) for part in parts]
    passes = [
        float(
            scoring_loss(
                log_odds[part],
                correct[part],
                config,
                rng,
                term_weights([correct[one] for one in parts], statement, number),
            )
        )
        for number, part in enumerate(parts)
    ]
    whole = pointwise_loss(log_odds, torch.from_numpy(correct))
    assert np.mean(passes) == pytest.approx(float(whole), rel=1e-5)


def test_removed_options_are_refused_by_name():
    with pytest.raises(ValidationError, match="ordering_weight was removed, because"):
        LossConfig.model_validate({"ordering_weight": 0.5})


def test_loss_without_known_outcomes_is_zero_with_a_gradient():
    log_odds = torch.zeros(2, 2, requires_grad=True)
    unknown = np.full((2, 2), np.nan, dtype=np.float32)
    loss = scoring_loss(log_odds, unknown, LossConfig(), np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(log_odds.grad, torch.zeros(2, 2))


def test_alignment_loss_equals_numpy_and_skips_instructions_without_a_statement():
    similarity = np.random.default_rng(3).normal(size=(4, 5))
    log_relevance = similarity - np.log(np.exp(similarity).sum(axis=1, keepdims=True))
    statement = np.array([2, -1, 0, 4])
    expected = -(log_relevance[0, 2] + log_relevance[2, 0] + log_relevance[3, 4]) / 3
    given_scores = torch.from_numpy(log_relevance)
    assert float(alignment_loss(given_scores, statement)) == pytest.approx(expected)
    assert float(alignment_loss(given_scores, np.full(4, -1))) == 0.0


@given(correct=OUTCOMES, group_size=st.integers(2, 6), seed=st.integers(0, 99))
def test_groups_are_homogeneous(correct, group_size, seed):
    groups = sample_groups(correct, group_size, np.random.default_rng(seed))
    rows, columns = groups[..., 0], groups[..., 1]
    assert (columns == columns[:, :1]).all()
    assert (correct[rows[:, 0], columns[:, 0]] >= 0.5).all()
    assert (correct[rows[:, 1:], columns[:, 1:]] < 0.5).all()
    usable = [c for c in correct.T if (c >= 0.5).any() and (c < 0.5).any()]
    assert len(groups) == sum(int((c >= 0.5).sum()) for c in usable)
