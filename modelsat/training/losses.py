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
    """How much the mean of each term over one pass counts among the passes of a step.

    A step's loss is the mean over all it holds. A pass with more known outcomes than the others
    counts for more: then the mean over passes is the mean over everything, however many workers
    and passes a step is cut into.

    Attributes:
        cells: of the term over known outcomes.
        groups: of the term over groups.
        pairs: of the term over pairs of candidates.
        statements: of the term over instructions with a statement.
        candidates: how much each candidate's outcomes and groups count within the first two terms,
            float32 [M]; None: all alike.
    """

    cells: float = 1.0
    groups: float = 1.0
    pairs: float = 1.0
    statements: float = 1.0
    candidates: Floats | None = None


def candidate_weights(evidence_MT: Floats, exponent: float) -> Floats:
    """How much candidates count, by what they can: their accuracy to a power, 1 on average.

    Args:
        evidence_MT: log-odds of success of each card on each task.
        exponent: 0 lets all count alike.

    Returns:
        Weights, float32 [M].
    """
    accuracy_M = (1 / (1 + np.exp(-evidence_MT.astype(np.float64)))).mean(axis=1)
    weights_M = accuracy_M**exponent
    counted_M: Floats = (weights_M / weights_M.mean()).astype(np.float32)
    return counted_M


def term_weights(
    correct: Sequence[Floats], statement: Sequence[Ints], number: int, candidates_M: Floats
) -> TermWeights:
    """Weights of one pass among those of its step.

    Args:
        correct: outcomes of every pass, NaN where there is none, float32 [B, M] each.
        statement: place of each instruction's statement of every pass, int64 [B] each.
        number: which pass.
        candidates_M: how much each candidate counts; see :func:`candidate_weights`.
    """
    counts_P4 = np.array(
        [_count_terms(*one, candidates_M) for one in zip(correct, statement, strict=True)]
    )
    total_4 = counts_P4.sum(axis=0)
    weights_4 = counts_P4[number] * len(counts_P4) / np.where(total_4 > 0, total_4, 1)
    cells, groups, pairs, statements = weights_4.tolist()
    return TermWeights(cells, groups, pairs, statements, candidates_M)


def _count_terms(
    correct_BM: Floats, statement_B: Ints, candidates_M: Floats
) -> tuple[float, float, int, int]:
    right_BM, wrong_BM = correct_BM >= 0.5, correct_BM < 0.5
    right_M, wrong_M = right_BM.sum(0), wrong_BM.sum(0)
    return (
        float((~np.isnan(correct_BM)).sum(0) @ candidates_M),
        float((right_M * (wrong_M > 0)) @ candidates_M),
        int((right_BM.sum(1) * wrong_BM.sum(1)).sum()),
        int((statement_B >= 0).sum()),
    )


def in_batch_loss(log_odds_GK: Tensor, weights_G: Tensor | None = None) -> Tensor:
    """In-batch cross-entropy over the "Yes" scores of groups.

    A group holds one candidate's positive instruction first, then K - 1 negative ones; the loss
    raises the positive's score above the others'.

    Args:
        log_odds_GK: log-odds of "Yes", float [G, K].
        weights_G: how much each group counts; None: all alike.

    Returns:
        Mean over groups, in nats; 0 when there is no group.

    Source:
        Zhang, Zhan, Ye, "Capability Instruction Tuning" (AAAI 2025), Eq. 5. Our choice: the
        softmax runs over log-odds.
    """
    if not len(log_odds_GK):
        return log_odds_GK.sum()
    target_G = torch.zeros(len(log_odds_GK), dtype=torch.long, device=log_odds_GK.device)
    return _mean(functional.cross_entropy(log_odds_GK, target_G, reduction="none"), weights_G)


def pointwise_loss(
    log_odds_BM: Tensor, correct_BM: Tensor, weights_M: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of every known outcome, which fixes the level of each candidate.

    Eq. 5 is unchanged when a constant is added to all scores of a candidate, so it alone cannot
    make scores comparable between candidates.

    Args:
        log_odds_BM: log-odds of "Yes", float [B, M].
        correct_BM: outcomes 0..1, NaN where there is none.
        weights_M: how much each candidate counts; None: all alike.

    Returns:
        Mean over known outcomes, in nats; 0 when none is known.
    """
    known_BM = ~correct_BM.isnan()
    if not known_BM.any():
        return log_odds_BM.sum() * 0.0
    loss = functional.binary_cross_entropy_with_logits(
        log_odds_BM[known_BM], correct_BM[known_BM], reduction="none"
    )
    return _mean(loss, None if weights_M is None else weights_M.expand_as(log_odds_BM)[known_BM])


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values * weights).sum() / weights.sum()


def ordering_loss(log_odds_BM: Tensor, correct_BM: Tensor) -> Tensor:
    """Logistic loss of every pair of candidates, one right and one wrong on an instruction.

    How hard an instruction is cancels out, so this term alone teaches whom to prefer; it is the
    in-batch loss with groups homogeneous by instruction instead of by candidate.

    Args:
        log_odds_BM: log-odds of "Yes", float [B, M].
        correct_BM: outcomes, right from 0.5 on; NaN where there is none, which forms no pair.

    Returns:
        Mean over pairs, in nats; 0 when there is none.
    """
    right_BM, wrong_BM = correct_BM >= 0.5, correct_BM < 0.5
    pairs_BMM = right_BM[:, :, None] & wrong_BM[:, None, :]
    if not pairs_BMM.any():
        return log_odds_BM.sum() * 0.0
    lead_BMM = log_odds_BM[:, :, None] - log_odds_BM[:, None, :]
    return functional.softplus(-lead_BMM[pairs_BMM]).mean()


def alignment_loss(log_relevance_BT: Tensor, statement_B: Ints) -> Tensor:
    """Cross-entropy of the relevance of statements against the one an instruction belongs to.

    Routing alone teaches the encoder only what tells the training candidates apart, which says
    little of tasks on which they are alike.

    Args:
        log_relevance_BT: log-relevance of every statement.
        statement_B: place of each instruction's own statement; -1 where it has none.

    Returns:
        Mean over instructions that have a statement, in nats; 0 when none has.
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
    """Weighted sum of the terms over scores.

    Args:
        log_odds_BM: log-odds of "Yes".
        correct: outcomes 0..1, NaN where there is none, float32 [B, M].
        config: weights and group size.
        rng: draws the negatives of each group.
        weights: of this pass among those of a step.
    """
    correct_BM = torch.from_numpy(correct).to(log_odds_BM.device)
    log_odds_BM = log_odds_BM.float()
    weights_M = None
    if weights.candidates is not None:
        weights_M = torch.from_numpy(weights.candidates).to(log_odds_BM.device)
    pointwise = pointwise_loss(log_odds_BM, correct_BM, weights_M)
    loss = config.pointwise_weight * weights.cells * pointwise
    if config.in_batch_weight:
        groups = torch.from_numpy(sample_groups(correct, config.group_size, rng))
        rows_GK, columns_GK = groups.to(log_odds_BM.device).unbind(-1)
        weights_G = None if weights_M is None else weights_M[columns_GK[:, 0]]
        in_batch = in_batch_loss(log_odds_BM[rows_GK, columns_GK], weights_G)
        loss = loss + config.in_batch_weight * weights.groups * in_batch
    if config.ordering_weight:
        ordering = ordering_loss(log_odds_BM, correct_BM)
        loss = loss + config.ordering_weight * weights.pairs * ordering
    return loss


def sample_groups(correct: Floats, group_size: int, rng: np.random.Generator) -> Ints:
    """Homogeneous groups: per candidate and positive instruction, its own negative ones.

    Args:
        correct: outcomes, NaN where there is none, float32 [B, M]; positive from 0.5 on.
        group_size: K; negatives are drawn with replacement where a candidate has fewer.
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
