"""What is fitted once the network is trained: random effects, shrinkage, calibration.

Shapes: Q instructions, M candidates, T statements, E encoder width, C known cells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modelsat.modeling.calibration import Calibration, fit_calibration
from modelsat.modeling.card_features import card_features, with_even_card
from modelsat.modeling.config import Layout
from modelsat.modeling.known_cards import KnownCards, fit_difficulty, fit_effects, known_cards
from modelsat.modeling.shrinkage import Shrinkage, fit_shrinkage
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.outcomes.matrix import Floats, OutcomeMatrix, OutcomeSource

# Answers that a candidate's mean counts for against what is seen on one task; chosen on
# validation instructions, as is the next.
_EFFECT_PRECISIONS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 1e6)
# Of an embedding's weights; the last is next to no difficulty at all.
_DIFFICULTY_PRECISIONS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 1e6)
_MAX_SEQUENCES = 64  # that the base model reads in one pass; bounds memory, changes no result


Forward = Callable[..., tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class FittedOutputs:
    """What turns the network's log-odds into probabilities.

    Attributes:
        known_cards: by hash of the aptitude test, the cards trained with and the effects.
        shrinkage: of log-odds with effects.
        calibration: of these log-odds once shrunk.
        effect_precision: of the prior on the effects of cards, as chosen.
        difficulty_precision: of the prior on the difficulty of instructions, as chosen.
    """

    known_cards: Mapping[str, KnownCards]
    shrinkage: Shrinkage
    calibration: Calibration
    effect_precision: float
    difficulty_precision: float


@dataclass(frozen=True)
class NetworkScores:
    """What the network says of a matrix's instructions and cards.

    Attributes:
        log_odds_QM: uncalibrated, float32.
        even_Q: the same for a card of evidence 0, float32.
        relevance_QT: relevance of the statements to each instruction, float32; rows sum to 1.
        embeddings_QE: of the instructions, by the capability encoder, of unit length, float32.
    """

    log_odds_QM: Floats
    even_Q: Floats
    relevance_QT: Floats
    embeddings_QE: Floats

    def with_difficulty(self, difficulty_E: Floats) -> "NetworkScores":
        """The same with what instructions are harder or easier than the network takes them."""
        added_Q = self.embeddings_QE @ difficulty_E
        return replace(
            self, log_odds_QM=self.log_odds_QM + added_Q[:, None], even_Q=self.even_Q + added_Q
        )

    def with_effects(self, effects_MT: Floats) -> "NetworkScores":
        """The same with effects of the cards."""
        return replace(self, log_odds_QM=self.log_odds_QM + self.relevance_QT @ effects_MT.T)


@dataclass(frozen=True)
class _Scored:
    """Outcomes and what the network says of them."""

    matrix: OutcomeMatrix
    scores: NetworkScores

    @property
    def tasks_hash(self) -> str:
        return self.matrix.cards[0].tasks_hash


def scoring_batch(layout: Layout, num_cards: int) -> int:
    """How many instructions are scored in one pass, at least one.

    Args:
        layout: ``capability_first`` reads each card with each instruction as a sequence of its
            own, ``instruction_first`` all cards with one.
        num_cards: cards scored at once, that of evidence 0 included.
    """
    return max(1, _MAX_SEQUENCES // num_cards) if layout == "capability_first" else _MAX_SEQUENCES


def network_scores(
    forward: Forward, tokenizer: InstructionTokenizer, matrix: OutcomeMatrix, device: torch.device
) -> NetworkScores:
    """Score all instructions and cards of a matrix.

    Args:
        forward: the network, as :meth:`ModelSat.forward`.
        tokenizer: turns instructions into tokens.
        matrix: instructions and cards.
        device: where the network is.
    """
    features = card_features(matrix.cards)
    statements = {
        name: value.to(device) for name, value in tokenizer.encoder_features(features.texts).items()
    }
    weights_MT = torch.from_numpy(with_even_card(features.weights_MT)).to(device)
    log_odds_QM = np.zeros((len(matrix), len(weights_MT)), dtype=np.float32)
    relevance_QT = np.zeros((len(matrix), len(features.texts)), dtype=np.float32)
    order = np.argsort([len(text) for text in matrix.instructions], kind="stable")
    batch = scoring_batch(tokenizer.config.layout, len(weights_MT))
    embedded = []
    with torch.no_grad():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            tokens = tokenizer([matrix.instructions[i] for i in rows]).to(device)
            log_odds, log_relevance, embeddings = forward(tokens, statements, weights_MT)
            log_odds_QM[rows] = log_odds.float().cpu().numpy()
            relevance_QT[rows] = log_relevance.float().exp().cpu().numpy()
            embedded.append(embeddings.float().cpu().numpy())
    embeddings_QE = np.concatenate(embedded)[np.argsort(order)]
    return NetworkScores(log_odds_QM[:, 1:], log_odds_QM[:, 0], relevance_QT, embeddings_QE)


def fit_outputs(
    score: Callable[[OutcomeMatrix], NetworkScores],
    training: Sequence[OutcomeSource],
    validation: Sequence[OutcomeMatrix],
    *,
    num_instructions: int,
    seed: int,
) -> FittedOutputs:
    """Fit effects on training outcomes; their precision, shrinkage and calibration on validation.

    Difficulty comes first, so that the effects of cards explain what it leaves.

    Args:
        score: scores a matrix's instructions and cards.
        training: the training outcomes.
        validation: outcomes kept apart, matrix by matrix as in training.
        num_instructions: training instructions to take of each source, drawn at random.
        seed: seeds the draw.
    """
    samples = [source.sample(num_instructions, seed) for source in training]
    fitted_on = [_Scored(sample, score(sample)) for sample in samples]
    judged_on = [_Scored(matrix, score(matrix)) for matrix in validation]

    def try_difficulty(precision: float) -> tuple[_Last, dict[str, Floats], float]:
        found = _difficulties(fitted_on, precision)
        return _fit_last(_all_with_difficulty(judged_on, found)), found, precision

    tried = map(try_difficulty, _DIFFICULTY_PRECISIONS)
    _, difficulties, difficulty_precision = min(tried, key=lambda one: one[0].loss)
    fitted_on = _all_with_difficulty(fitted_on, difficulties)
    judged_on = _all_with_difficulty(judged_on, difficulties)

    def try_effects(precision: float) -> tuple[_Last, list[Floats], float]:
        found = [_effects(one, precision) for one in fitted_on]
        with_effects = [
            replace(one, scores=one.scores.with_effects(effects_MT))
            for one, effects_MT in zip(judged_on, found, strict=True)
        ]
        return _fit_last(with_effects), found, precision

    tried_effects = map(try_effects, _EFFECT_PRECISIONS)
    last, effects, effect_precision = min(tried_effects, key=lambda one: one[0].loss)
    return FittedOutputs(
        known_cards=_known_cards(fitted_on, effects, difficulties),
        shrinkage=last.shrinkage,
        calibration=last.calibration,
        effect_precision=effect_precision,
        difficulty_precision=difficulty_precision,
    )


def _difficulties(scored: Sequence[_Scored], precision: float) -> dict[str, Floats]:
    """By hash of the aptitude test, from all outcomes of its cards."""
    return {
        tasks_hash: fit_difficulty(
            [
                (one.scores.log_odds_QM, one.scores.embeddings_QE, one.matrix.correct_QM)
                for one in scored
                if one.tasks_hash == tasks_hash
            ],
            precision,
        )
        for tasks_hash in {one.tasks_hash: None for one in scored}
    }


def _all_with_difficulty(
    scored: Sequence[_Scored], difficulties: Mapping[str, Floats]
) -> list[_Scored]:
    return [
        replace(one, scores=one.scores.with_difficulty(difficulties[one.tasks_hash]))
        for one in scored
    ]


def _effects(scored: _Scored, precision: float) -> Floats:
    scores = scored.scores
    return fit_effects(scores.log_odds_QM, scores.relevance_QT, scored.matrix.correct_QM, precision)


def _known_cards(
    scored: Sequence[_Scored], effects: Sequence[Floats], difficulties: Mapping[str, Floats]
) -> dict[str, KnownCards]:
    """By hash of the aptitude test; several data sets may share one."""
    return {
        tasks_hash: known_cards(
            [
                (card_features(one.matrix.cards), effects_MT)
                for one, effects_MT in zip(scored, effects, strict=True)
                if one.tasks_hash == tasks_hash
            ],
            difficulty_E,
        )
        for tasks_hash, difficulty_E in difficulties.items()
    }


@dataclass(frozen=True)
class _Last:
    """Shrinkage and calibration of some cells, and the log loss they leave."""

    shrinkage: Shrinkage
    calibration: Calibration
    loss: float


def _fit_last(judged: Sequence[_Scored]) -> _Last:
    known = [~np.isnan(one.matrix.correct_QM) for one in judged]
    correct_C = _cells([one.matrix.correct_QM for one in judged], known)
    log_odds_C = _cells([one.scores.log_odds_QM for one in judged], known)
    even_C = _cells([one.scores.even_Q[:, None] for one in judged], known)
    evidence_C = _cells(
        [card_features(one.matrix.cards).mean_evidence_M[None] for one in judged], known
    )
    shrinkage = fit_shrinkage(log_odds_C, even_C, evidence_C, correct_C)
    shrunk_C = shrinkage.shrunk(log_odds_C, even_C, evidence_C)
    calibration = fit_calibration(shrunk_C, correct_C)
    return _Last(shrinkage, calibration, _log_loss(calibration.probabilities(shrunk_C), correct_C))


def _cells(values: Sequence[Floats], known: Sequence[npt.NDArray[np.bool_]]) -> Floats:
    """Values of all known cells, one after the other; rows or columns alone are repeated."""
    return np.concatenate(
        [
            np.broadcast_to(part, is_known.shape)[is_known]
            for part, is_known in zip(values, known, strict=True)
        ]
    )


def _log_loss(probabilities: Floats, correct: Floats) -> float:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(correct * np.log(clipped) + (1 - correct) * np.log(1 - clipped)))
