"""Post-training fits: random effects, shrinkage and calibration.

Shapes: Q instructions, M candidates, T statements, E encoder width, C known cells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modelsat.modeling.calibration import Calibration, fit_calibration
from modelsat.modeling.card_features import card_features, with_neutral_card
from modelsat.modeling.config import Layout
from modelsat.modeling.known_cards import KnownCards, fit_difficulty, fit_effects, known_cards
from modelsat.modeling.shrinkage import Shrinkage, fit_shrinkage
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.outcomes.matrix import Floats, OutcomeMatrix, OutcomeSource

# Prior precisions to choose from on validation instructions. For effects: how many answers the
# candidate's mean counts for against the answers on a task.
_EFFECT_PRECISIONS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 1e6)
# For difficulty: of an embedding's weights; the last practically disables difficulty.
_DIFFICULTY_PRECISIONS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 1e6)
_MAX_SEQUENCES = 64  # sequences of the base model per pass; limits memory, not results


Forward = Callable[..., tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class FittedOutputs:
    """The fits that convert the network's log-odds to probabilities.

    Attributes:
        known_cards: the training cards and their effects, by hash of the aptitude test.
        shrinkage: applied to log-odds with effects.
        calibration: applied after shrinkage.
        effect_precision: chosen precision of the prior on the effects of cards.
        difficulty_precision: chosen precision of the prior on the difficulty of instructions.
    """

    known_cards: Mapping[str, KnownCards]
    shrinkage: Shrinkage
    calibration: Calibration
    effect_precision: float
    difficulty_precision: float


@dataclass(frozen=True)
class NetworkScores:
    """The network's outputs for a matrix's instructions and cards.

    Attributes:
        log_odds_QM: uncalibrated log-odds, float32.
        neutral_Q: log-odds for a neutral card (evidence 0), float32.
        relevance_QT: relevance of the statements to each instruction, float32; rows sum to 1.
        embeddings_QE: encoder embeddings of the instructions, of unit length, float32.
    """

    log_odds_QM: Floats
    neutral_Q: Floats
    relevance_QT: Floats
    embeddings_QE: Floats

    def with_difficulty(self, difficulty_E: Floats) -> "NetworkScores":
        """Return a copy with the difficulty of instructions added to the log-odds."""
        offset_Q = self.embeddings_QE @ difficulty_E
        return replace(
            self,
            log_odds_QM=self.log_odds_QM + offset_Q[:, None],
            neutral_Q=self.neutral_Q + offset_Q,
        )

    def with_effects(self, effects_MT: Floats) -> "NetworkScores":
        """Return a copy with the effects of cards added to the log-odds."""
        return replace(self, log_odds_QM=self.log_odds_QM + self.relevance_QT @ effects_MT.T)


@dataclass(frozen=True)
class _Scored:
    """Outcomes and the network's scores of them."""

    matrix: OutcomeMatrix
    scores: NetworkScores

    @property
    def tasks_hash(self) -> str:
        return self.matrix.cards[0].tasks_hash


def scoring_batch(layout: Layout, num_cards: int) -> int:
    """Return how many instructions are scored per forward pass, at least one.

    Args:
        layout: ``capability_first`` has a sequence for each card and instruction,
            ``instruction_first`` one for each instruction.
        num_cards: cards scored together, including the neutral card.
    """
    return max(1, _MAX_SEQUENCES // num_cards) if layout == "capability_first" else _MAX_SEQUENCES


def network_scores(
    forward: Forward, tokenizer: InstructionTokenizer, matrix: OutcomeMatrix, device: torch.device
) -> NetworkScores:
    """Score all instructions and cards of a matrix.

    ``forward`` is :meth:`ModelSat.forward`, and ``device`` the network's.
    """
    features = card_features(matrix.cards)
    statements = {
        name: value.to(device) for name, value in tokenizer.encoder_features(features.texts).items()
    }
    weights_MT = torch.from_numpy(with_neutral_card(features.weights_MT)).to(device)
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
    """Fit effects on training outcomes; precisions, shrinkage and calibration on validation.

    Difficulty is fitted first, so that the effects of cards explain the remainder.

    Args:
        score: scores a matrix's instructions and cards.
        training: the training outcomes.
        validation: validation outcomes, a matrix for each training source.
        num_instructions: training instructions to sample from each source.
        seed: seeds the sample.
    """
    samples = [source.sample(num_instructions, seed) for source in training]
    train = [_Scored(sample, score(sample)) for sample in samples]
    held_out = [_Scored(matrix, score(matrix)) for matrix in validation]

    def try_difficulty(precision: float) -> tuple[_CalibratedFit, dict[str, Floats], float]:
        difficulties = _difficulties(train, precision)
        fit = _fit_calibration(_all_with_difficulty(held_out, difficulties))
        return fit, difficulties, precision

    trials = map(try_difficulty, _DIFFICULTY_PRECISIONS)
    _, difficulties, difficulty_precision = min(trials, key=lambda trial: trial[0].loss)
    train = _all_with_difficulty(train, difficulties)
    held_out = _all_with_difficulty(held_out, difficulties)

    def try_effects(precision: float) -> tuple[_CalibratedFit, list[Floats], float]:
        effects = [_effects(scored, precision) for scored in train]
        with_effects = [
            replace(scored, scores=scored.scores.with_effects(effects_MT))
            for scored, effects_MT in zip(held_out, effects, strict=True)
        ]
        return _fit_calibration(with_effects), effects, precision

    effect_trials = map(try_effects, _EFFECT_PRECISIONS)
    best, effects, effect_precision = min(effect_trials, key=lambda trial: trial[0].loss)
    return FittedOutputs(
        known_cards=_known_cards(train, effects, difficulties),
        shrinkage=best.shrinkage,
        calibration=best.calibration,
        effect_precision=effect_precision,
        difficulty_precision=difficulty_precision,
    )


def _difficulties(train: Sequence[_Scored], precision: float) -> dict[str, Floats]:
    """Fit the difficulty of each aptitude test, by hash, on all outcomes of its cards."""
    return {
        tasks_hash: fit_difficulty(
            [
                (scored.scores.log_odds_QM, scored.scores.embeddings_QE, scored.matrix.correct_QM)
                for scored in train
                if scored.tasks_hash == tasks_hash
            ],
            precision,
        )
        for tasks_hash in {scored.tasks_hash: None for scored in train}
    }


def _all_with_difficulty(
    matrices: Sequence[_Scored], difficulties: Mapping[str, Floats]
) -> list[_Scored]:
    return [
        replace(scored, scores=scored.scores.with_difficulty(difficulties[scored.tasks_hash]))
        for scored in matrices
    ]


def _effects(scored: _Scored, precision: float) -> Floats:
    scores = scored.scores
    return fit_effects(scores.log_odds_QM, scores.relevance_QT, scored.matrix.correct_QM, precision)


def _known_cards(
    train: Sequence[_Scored], effects: Sequence[Floats], difficulties: Mapping[str, Floats]
) -> dict[str, KnownCards]:
    """Merge cards and effects by hash of the aptitude test, which datasets may share."""
    return {
        tasks_hash: known_cards(
            [
                (card_features(scored.matrix.cards), effects_MT)
                for scored, effects_MT in zip(train, effects, strict=True)
                if scored.tasks_hash == tasks_hash
            ],
            difficulty_E,
        )
        for tasks_hash, difficulty_E in difficulties.items()
    }


@dataclass(frozen=True)
class _CalibratedFit:
    """Shrinkage and calibration of some cells, and the resulting log loss."""

    shrinkage: Shrinkage
    calibration: Calibration
    loss: float


def _fit_calibration(held_out: Sequence[_Scored]) -> _CalibratedFit:
    known = [~np.isnan(scored.matrix.correct_QM) for scored in held_out]
    correct_C = _cells([scored.matrix.correct_QM for scored in held_out], known)
    log_odds_C = _cells([scored.scores.log_odds_QM for scored in held_out], known)
    neutral_C = _cells([scored.scores.neutral_Q[:, None] for scored in held_out], known)
    evidence_C = _cells(
        [card_features(scored.matrix.cards).mean_evidence_M[None] for scored in held_out], known
    )
    shrinkage = fit_shrinkage(log_odds_C, neutral_C, evidence_C, correct_C)
    shrunk_C = shrinkage.apply(log_odds_C, neutral_C, evidence_C)
    calibration = fit_calibration(shrunk_C, correct_C)
    loss = _log_loss(calibration.probabilities(shrunk_C), correct_C)
    return _CalibratedFit(shrinkage, calibration, loss)


def _cells(values: Sequence[Floats], known: Sequence[npt.NDArray[np.bool_]]) -> Floats:
    """Flatten the known cells of all matrices; single rows and columns are broadcast."""
    return np.concatenate(
        [
            np.broadcast_to(part, is_known.shape)[is_known]
            for part, is_known in zip(values, known, strict=True)
        ]
    )


def _log_loss(probabilities: Floats, correct: Floats) -> float:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(correct * np.log(clipped) + (1 - correct) * np.log(1 - clipped)))
