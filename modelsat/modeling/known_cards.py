"""Random effects: corrections to the network's log-odds, estimated from training outcomes.

A card summarises twenty answers per task; candidates of the training data have
thousands more. Their mean deviation from the network's log-odds, task by task, is stored with the
card and added whenever that card is scored. A new card has no effects; a card edited in a single
statement keeps nearly all. How much harder instructions are than the network predicts is fitted
once for all cards of an aptitude test, including new cards.

Shapes: Q instructions, M cards, K known cards, T statements, E encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.modeling.card_features import CardFeatures

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

# A card gets a share of a known card's effects if it agrees with more than this share of its
# statements. Two of 28 real candidates agree on 7 % of the tasks of 20 questions on average.
_LEAST_AGREEMENT = 0.5
_NUM_NEWTON_STEPS = 8  # the mode to within 2e-3 log-odds (tests/unit/modeling)
_OVERALL_PRECISION = 1.0  # precision of the prior on a candidate's mean effect: very weak


@dataclass(frozen=True)
class KnownCards:
    """Cards of one aptitude test and their effects.

    Attributes:
        texts: T statement texts.
        num_correct_KT: correct answers stated by the cards, float32.
        effects_KT: log-odds to add on instructions that a statement is relevant to, float32.
        difficulty_E: log-odds to add for every card of the test, known or not, per unit of the
            instruction's embedding, float32.
    """

    texts: tuple[str, ...]
    num_correct_KT: Floats
    effects_KT: Floats
    difficulty_E: Floats

    def effects(self, features: CardFeatures) -> Floats:
        """Return the effects of cards in the order of their statements, float32 [M, T].

        Args:
            features: features of cards of this aptitude test; unknown cards get zeros.
        """
        column_of = {text: t for t, text in enumerate(self.texts)}
        columns = [column_of[text] for text in features.texts]
        known_KT = self.num_correct_KT[:, columns]
        agreement_MK = (features.num_correct_MT[:, None, :] == known_KT[None]).mean(axis=-1)
        share_MK = np.maximum(agreement_MK - _LEAST_AGREEMENT, 0.0) / (1.0 - _LEAST_AGREEMENT)
        share_MK /= np.maximum(share_MK.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(share_MK @ self.effects_KT[:, columns], dtype=np.float32)


def known_cards(parts: Sequence[tuple[CardFeatures, Floats]], difficulty_E: Floats) -> KnownCards:
    """Merge the cards of several datasets that share an aptitude test.

    Args:
        parts: features and effects [M, T] of each dataset, at least one.
        difficulty_E: see :class:`KnownCards`.
    """
    texts = parts[0][0].texts
    columns = [[features.texts.index(text) for text in texts] for features, _ in parts]
    counts = [part.num_correct_MT[:, own] for (part, _), own in zip(parts, columns, strict=True)]
    effects = [part_MT[:, own] for (_, part_MT), own in zip(parts, columns, strict=True)]
    return KnownCards(texts, np.concatenate(counts), np.concatenate(effects), difficulty_E)


def fit_effects(
    log_odds_QM: Floats, relevance_QT: Floats, correct_QM: Floats, precision: float
) -> Floats:
    """Fit the effects that explain outcomes beyond the network's log-odds, float32 [M, T].

    The posterior mode of a logistic regression for each candidate, with the log-odds as offset, the
    relevance of the statements as inputs, and a normal prior around the candidate's mean effect.

    Args:
        log_odds_QM: the network's log-odds, uncalibrated.
        relevance_QT: relevance of the statements to each instruction; rows sum to 1.
        correct_QM: outcomes 0..1, NaN where missing.
        precision: precision of the prior on a statement's deviation from the candidate's mean.
    """
    num_statements = relevance_QT.shape[1]
    mean_TT = np.full((num_statements, num_statements), 1.0 / num_statements)
    prior_TT = precision * (np.eye(num_statements) - mean_TT) + _OVERALL_PRECISION * mean_TT
    columns = [
        _mode([(log_odds_QM[:, [m]], relevance_QT, correct_QM[:, [m]])], prior_TT)
        for m in range(correct_QM.shape[1])
    ]
    return np.stack(columns).astype(np.float32)


def fit_difficulty(parts: Sequence[tuple[Floats, Floats, Floats]], precision: float) -> Floats:
    """Fit how hard instructions are beyond the network's prediction: log-odds to add, float32 [E].

    Its product with an embedding is negative if the instruction is harder than the network
    predicts. The posterior mode of one logistic regression for all candidates, with the log-odds
    as offset, the embedding as inputs, and a normal prior around zero.

    Args:
        parts: for each dataset the network's uncalibrated log-odds [Q, M], embeddings [Q, E] of
            unit length, and outcomes 0..1 [Q, M], NaN where missing; at least one.
        precision: precision of the prior.
    """
    width = parts[0][1].shape[1]
    return _mode(parts, precision * np.eye(width)).astype(np.float32)


def _mode(parts: Sequence[tuple[Floats, Floats, Floats]], prior_NN: Doubles) -> Doubles:
    """Fit weights [N] of inputs [Q, N] that explain outcomes [Q, M] beyond log-odds [Q, M]."""
    exact = [
        (log_odds_QM, inputs_QN.astype(np.float64), correct_QM, ~np.isnan(correct_QM))
        for log_odds_QM, inputs_QN, correct_QM in parts
    ]
    weights_N = np.zeros(len(prior_NN))
    for _ in range(_NUM_NEWTON_STEPS):
        gradient_N, curvature_NN = -prior_NN @ weights_N, prior_NN
        for log_odds_QM, inputs, correct_QM, known_QM in exact:
            log_odds = log_odds_QM + (inputs @ weights_N)[:, None]
            probability_QM = 1.0 / (1.0 + np.exp(-log_odds))
            residual_QM = np.where(known_QM, correct_QM - probability_QM, 0.0)
            weight_QM = known_QM * probability_QM * (1.0 - probability_QM)
            gradient_N = gradient_N + inputs.T @ residual_QM.sum(axis=1)
            curvature_NN = curvature_NN + (inputs * weight_QM.sum(axis=1)[:, None]).T @ inputs
        weights_N = weights_N + np.linalg.solve(curvature_NN, gradient_N)
    return weights_N
