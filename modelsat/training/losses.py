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
        pairs: weight of the term over pairs of candidates.
        statements: weight of the term over instructions with a statement.
        candidates: weights of the candidates within the first two terms, float32 [M]; None: equal.
    """

    cells: float = 1.0
    groups: float = 1.0
    pairs: float = 1.0
    statements: float = 1.0
    candidates: Floats | None = None


def candidate_weights(evidence_MT: Floats, exponent: float) -> Floats:
    """Weight candidates by their accuracy to a power, with mean 1.

    Args:
        evidence_MT: log-odds of success of each card on each task.
        exponent: power of the accuracy; 0 weights all equally.

    Returns:
        Weights, float32 [M].
    """
    accuracy_M = (1 / (1 + np.exp(-evidence_MT.astype(np.float64)))).mean(axis=1)
    weights_M = accuracy_M**exponent
    normalised_M: Floats = (weights_M / weights_M.mean()).astype(np.float32)
    return normalised_M


def term_weights(
    correct: Sequence[Floats], statement: Sequence[Ints], number: int, candidates_M: Floats
) -> TermWeights:
    """Compute the weights of a pass among the passes of its step.

    Args:
        correct: outcomes of every pass, NaN where missing, float32 [B, M] each.
        statement: index of each instruction's statement, for every pass, int64 [B] each.
        number: index of the pass.
        candidates_M: weights of the candidates; see :func:`candidate_weights`.
    """
    counts_P4 = np.array(
        [_count_terms(*part, candidates_M) for part in zip(correct, statement, strict=True)]
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

    A group has a candidate's positive instruction first, then K - 1 of its negatives; the loss
    raises the positive's score above the others.

    Args:
        log_odds_GK: log-odds of "Yes", float [G, K].
        weights_G: weight of each group; None: equal.

    Returns:
        Mean over groups, in nats; 0 if there is no group.

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

    Eq. 5 is invariant to a constant added to all scores of a candidate, so it cannot make scores
    comparable between candidates by itself.

    Args:
        log_odds_BM: log-odds of "Yes", float [B, M].
        correct_BM: outcomes 0..1, NaN where missing.
        weights_M: weight of each candidate; None: equal.

    Returns:
        Mean over known outcomes, in nats; 0 if none is known.
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
    """Pairwise logistic loss over candidates, one right and one wrong on an instruction.

    The instruction's difficulty cancels out, so this term only teaches which candidate to prefer;
    it is the in-batch loss with groups homogeneous by instruction instead of by candidate.

    Args:
        log_odds_BM: log-odds of "Yes", float [B, M].
        correct_BM: outcomes, right from 0.5; NaN (missing) forms no pair.

    Returns:
        Mean over pairs, in nats; 0 if there are none.
    """
    right_BM, wrong_BM = correct_BM >= 0.5, correct_BM < 0.5
    pairs_BMM = right_BM[:, :, None] & wrong_BM[:, None, :]
    if not pairs_BMM.any():
        return log_odds_BM.sum() * 0.0
    margin_BMM = log_odds_BM[:, :, None] - log_odds_BM[:, None, :]
    return functional.softplus(-margin_BMM[pairs_BMM]).mean()


def alignment_loss(log_relevance_BT: Tensor, statement_B: Ints) -> Tensor:
    """Cross-entropy of statement relevance against the instruction's own statement.

    The routing terms teach the encoder only what distinguishes the training candidates, so it
    learns little about tasks on which they are equally good.

    Args:
        log_relevance_BT: log-relevance of every statement.
        statement_B: index of each instruction's statement; -1 if it has none.

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
