"""Losses over routing scores.

Shapes: B instructions, M candidates, G groups, K instructions of a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelsat.outcomes.matrix import Floats, Ints
from modelsat.training.config import LossConfig


@dataclass(frozen=True)
class TermWeights:
    """Weights of the loss terms of a pass among the passes of a step.

    A pass with more known outcomes gets a larger weight, so that the mean over passes equals the
    mean over the whole step, independent of the number of workers and passes.

    Attributes:
        cells: weight of the term over known outcomes.
        groups: weight of the term over groups.
        statements: weight of the term over instructions with a statement.
    """

    cells: float = 1.0
    groups: float = 1.0
    statements: float = 1.0


def term_weights(correct: Sequence[Floats], statement: Sequence[Ints], number: int) -> TermWeights:
    """Return the weights of one pass among those of its step.

    Args:
        correct: outcomes of every pass, NaN where missing, float32 [B, M] each.
        statement: index of each instruction's statement in every pass, int64 [B] each.
        number: which pass.
    """
    counts_P3 = np.array([_count_terms(*one) for one in zip(correct, statement, strict=True)])
    total_3 = counts_P3.sum(axis=0)
    weights_3 = counts_P3[number] * len(counts_P3) / np.where(total_3 > 0, total_3, 1)
    return TermWeights(*weights_3.tolist())


def _count_terms(correct_BM: Floats, statement_B: Ints) -> tuple[int, int, int]:
    """Numbers of known outcomes, groups, and instructions with a statement."""
    right_M, wrong_M = (correct_BM >= 0.5).sum(axis=0), (correct_BM < 0.5).sum(axis=0)
    return (
        int((~np.isnan(correct_BM)).sum()),
        int(right_M[wrong_M > 0].sum()),
        int((statement_B >= 0).sum()),
    )


def in_batch_loss(log_odds_GK: Tensor) -> Tensor:
    """Return the in-batch cross-entropy over the "Yes" scores of groups.

    A group has a candidate's positive instruction first, then K - 1 of its negatives; the loss
    raises the positive's score above the others.

    Args:
        log_odds_GK: log-odds of "Yes", float [G, K].

    Returns:
        Mean over groups, in nats; 0 if there is no group.

    Source:
        Zhang, Zhan, Ye, "Capability Instruction Tuning" (AAAI 2025), Eq. 5. Our choice: the
        softmax runs over log-odds.
    """
    if not len(log_odds_GK):
        return log_odds_GK.sum()
    target_G = torch.zeros(len(log_odds_GK), dtype=torch.long, device=log_odds_GK.device)
    return functional.cross_entropy(log_odds_GK, target_G)


def pointwise_loss(log_odds_BM: Tensor, correct_BM: Tensor) -> Tensor:
    """Return the binary cross-entropy of known outcomes, which fixes each candidate's level.

    Eq. 5 is invariant to a constant added to all scores of a candidate, so it cannot make scores
    comparable between candidates by itself.

    Args:
        log_odds_BM: log-odds of "Yes", float [B, M].
        correct_BM: outcomes 0..1, NaN where missing.

    Returns:
        Mean over known outcomes, in nats; 0 if none is known.
    """
    known_BM = ~correct_BM.isnan()
    if not known_BM.any():
        return log_odds_BM.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(log_odds_BM[known_BM], correct_BM[known_BM])


def alignment_loss(log_relevance_BT: Tensor, statement_B: Ints) -> Tensor:
    """Return the cross-entropy of statement relevance against each instruction's own statement.

    Routing alone teaches the encoder only the differences between the training candidates, and
    little about tasks on which they do equally well.

    Args:
        log_relevance_BT: log-relevance of every statement.
        statement_B: index of each instruction's own statement; -1 if it has none.

    Returns:
        Mean over instructions that have a statement, in nats; 0 if none has.
    """
    target_B = torch.from_numpy(statement_B).to(log_relevance_BT.device)
    if not (target_B >= 0).any():
        return log_relevance_BT.sum() * 0.0
    return functional.nll_loss(log_relevance_BT.float(), target_B, ignore_index=-1)


def scoring_loss(
    log_odds_BM: Tensor,
    correct: Floats,
    config: LossConfig,
    rng: np.random.Generator,
    weights: TermWeights = TermWeights(),
) -> Tensor:
    """Weighted sum of the loss terms over scores.

    Args:
        log_odds_BM: log-odds of "Yes".
        correct: outcomes 0..1, NaN where missing, float32 [B, M].
        config: weights and group size.
        rng: draws the negatives of each group.
        weights: weights of this pass among the passes of a step.
    """
    correct_BM = torch.from_numpy(correct).to(log_odds_BM.device)
    log_odds_BM = log_odds_BM.float()
    pointwise = pointwise_loss(log_odds_BM, correct_BM)
    loss = config.pointwise_weight * weights.cells * pointwise
    if config.in_batch_weight:
        groups = torch.from_numpy(sample_groups(correct, config.group_size, rng))
        rows_GK, columns_GK = groups.to(log_odds_BM.device).unbind(-1)
        in_batch = in_batch_loss(log_odds_BM[rows_GK, columns_GK])
        loss = loss + config.in_batch_weight * weights.groups * in_batch
    return loss


def sample_groups(correct: Floats, group_size: int, rng: np.random.Generator) -> Ints:
    """Sample homogeneous groups: a candidate's positive instruction and some of its negatives.

    Args:
        correct: outcomes, NaN where missing, float32 [B, M]; positive from 0.5.
        group_size: K; negatives are drawn with replacement.
        rng: draws the negatives.

    Returns:
        Row and column of every member, the positive first, int64 [G, K, 2].
    """
    groups = []
    for column in range(correct.shape[1]):
        positives = np.flatnonzero(correct[:, column] >= 0.5)
        negatives = np.flatnonzero(correct[:, column] < 0.5)
        if not len(positives) or not len(negatives):
            continue
        drawn = rng.choice(negatives, size=(len(positives), group_size - 1))
        rows_GK = np.concatenate([positives[:, None], drawn], axis=1)
        groups.append(np.stack([rows_GK, np.full_like(rows_GK, column)], axis=-1))
    if not groups:
        return np.zeros((0, group_size, 2), dtype=np.int64)
    return np.asarray(np.concatenate(groups), dtype=np.int64)
