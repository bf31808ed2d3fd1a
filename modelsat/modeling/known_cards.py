"""What training outcomes say of known cards beyond what these say themselves: random effects.

A card rests on twenty answers a task; of the candidates a router was trained on there are
thousands more. Their mean departure from the router's log-odds, task by task, is kept beside the
card and added whenever that card is scored. A new card has none; one edited in a single statement
keeps nearly all.

Shapes: Q instructions, M cards, K known cards, T statements.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.modeling.card_features import CardFeatures

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

# A card is known as far as more than this share of its statements is that of a known one. Counts of
# two of 28 real candidates agree on 7 % of the tasks of 20 questions on average.
_LEAST_AGREEMENT = 0.5
_NUM_NEWTON_STEPS = 8  # the mode to within 2e-3 log-odds (tests/unit/modeling)
_OVERALL_PRECISION = 1.0  # of the prior on a candidate's mean effect: next to none


@dataclass(frozen=True)
class KnownCards:
    """Cards of one aptitude test and their effects.

    Attributes:
        texts: T statement texts.
        num_correct_KT: correct answers as the cards state them, float32.
        effects_KT: log-odds to add on instructions that a statement is relevant to, float32.
    """

    texts: tuple[str, ...]
    num_correct_KT: Floats
    effects_KT: Floats

    def effects(self, features: CardFeatures) -> Floats:
        """Effects of some cards in the order of their statements, float32 [M, T].

        Args:
            features: of cards of this aptitude test; those not known have zeros.
        """
        place = {text: t for t, text in enumerate(self.texts)}
        columns = [place[text] for text in features.texts]
        known_KT = self.num_correct_KT[:, columns]
        agreement_MK = (features.num_correct_MT[:, None, :] == known_KT[None]).mean(axis=-1)
        share_MK = np.maximum(agreement_MK - _LEAST_AGREEMENT, 0.0) / (1.0 - _LEAST_AGREEMENT)
        share_MK /= np.maximum(share_MK.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(share_MK @ self.effects_KT[:, columns], dtype=np.float32)

    def with_more(self, other: "KnownCards") -> "KnownCards":
        """These cards and others of the same aptitude test."""
        columns = [other.texts.index(text) for text in self.texts]
        return KnownCards(
            self.texts,
            np.concatenate([self.num_correct_KT, other.num_correct_KT[:, columns]]),
            np.concatenate([self.effects_KT, other.effects_KT[:, columns]]),
        )


def merged(parts: Iterable[tuple[str, KnownCards]]) -> dict[str, KnownCards]:
    """Known cards by hash of their aptitude test; several data sets may share one."""
    made: dict[str, KnownCards] = {}
    for tasks_hash, part in parts:
        before = made.get(tasks_hash)
        made[tasks_hash] = part if before is None else before.with_more(part)
    return made


def fit_effects(
    log_odds_QM: Floats, relevance_QT: Floats, correct_QM: Floats, precision: float
) -> Floats:
    """Effects that explain outcomes beyond the router's log-odds, float32 [M, T].

    The posterior mode of a logistic regression for each candidate, with the log-odds as offset, the
    relevance of the statements as inputs, and a normal prior around the candidate's own mean.

    Args:
        log_odds_QM: the router's, uncalibrated.
        relevance_QT: relevance of the statements to each instruction; rows sum to 1.
        correct_QM: outcomes 0..1, NaN where there is none.
        precision: of the prior on how a statement departs from the candidate's mean.
    """
    num_statements = relevance_QT.shape[1]
    mean_TT = np.full((num_statements, num_statements), 1.0 / num_statements)
    prior_TT = precision * (np.eye(num_statements) - mean_TT) + _OVERALL_PRECISION * mean_TT
    columns = [
        _fit_candidate(log_odds_QM[:, m], relevance_QT, correct_QM[:, m], prior_TT)
        for m in range(correct_QM.shape[1])
    ]
    return np.stack(columns).astype(np.float32)


def _fit_candidate(
    log_odds_Q: Floats, relevance_QT: Floats, correct_Q: Floats, prior_TT: Doubles
) -> Doubles:
    known_Q = ~np.isnan(correct_Q)
    inputs_QT = relevance_QT[known_Q].astype(np.float64)
    offset_Q, outcome_Q = log_odds_Q[known_Q].astype(np.float64), correct_Q[known_Q]
    effects_T = np.zeros(inputs_QT.shape[1])
    for _ in range(_NUM_NEWTON_STEPS):
        probability_Q = 1.0 / (1.0 + np.exp(-(offset_Q + inputs_QT @ effects_T)))
        gradient_T = inputs_QT.T @ (outcome_Q - probability_Q) - prior_TT @ effects_T
        weight_Q = probability_Q * (1.0 - probability_Q)
        curvature_TT = (inputs_QT * weight_Q[:, None]).T @ inputs_QT + prior_TT
        effects_T = effects_T + np.linalg.solve(curvature_TT, gradient_T)
    return effects_T
