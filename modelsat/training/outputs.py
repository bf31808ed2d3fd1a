"""What is fitted once the network is trained: effects of known cards, shrinkage, calibration.

Shapes: Q instructions, M candidates, T statements, C known cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modelsat.capability.cards import Card
from modelsat.modeling.calibration import Calibration, fit_calibration
from modelsat.modeling.card_features import card_features, with_even_card
from modelsat.modeling.config import Layout
from modelsat.modeling.known_cards import KnownCards, fit_effects
from modelsat.modeling.shrinkage import Shrinkage, fit_shrinkage
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.training.data import Floats, OutcomeMatrix, OutcomeSource

# Answers that a candidate's mean counts for against what is seen on one task; chosen on
# validation instructions.
_PRECISIONS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 1e6)
_MAX_SEQUENCES = 64  # that the base model reads in one pass; bounds memory, changes no result

Forward = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class FittedOutputs:
    """What turns the network's log-odds into probabilities.

    Attributes:
        known_cards: one per source of training outcomes.
        shrinkage: of log-odds with effects.
        calibration: of these log-odds once shrunk.
        precision: of the prior on the effects, as chosen.
    """

    known_cards: tuple[KnownCards, ...]
    shrinkage: Shrinkage
    calibration: Calibration
    precision: float


@dataclass(frozen=True)
class NetworkScores:
    """What the network says of a matrix's instructions and cards.

    Attributes:
        log_odds_QM: uncalibrated, float32.
        even_Q: the same for a card of evidence 0, float32.
        relevance_QT: relevance of the statements to each instruction, float32; rows sum to 1.
    """

    log_odds_QM: Floats
    even_Q: Floats
    relevance_QT: Floats


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
    with torch.no_grad():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            tokens = tokenizer([matrix.instructions[i] for i in rows]).to(device)
            log_odds, log_relevance = forward(tokens, statements, weights_MT)
            log_odds_QM[rows] = log_odds.float().cpu().numpy()
            relevance_QT[rows] = log_relevance.float().exp().cpu().numpy()
    return NetworkScores(log_odds_QM[:, 1:], log_odds_QM[:, 0], relevance_QT)


def fit_outputs(
    score: Callable[[OutcomeMatrix], NetworkScores],
    training: Sequence[OutcomeSource],
    validation: Sequence[OutcomeMatrix],
    *,
    num_instructions: int,
    seed: int,
) -> FittedOutputs:
    """Fit effects on training outcomes; their precision, shrinkage and calibration on validation.

    Args:
        score: scores a matrix's instructions and cards.
        training: the training outcomes.
        validation: outcomes kept apart, matrix by matrix.
        num_instructions: training instructions to take of each source, drawn at random.
        seed: seeds the draw.
    """
    samples = [source.sample(num_instructions, seed) for source in training]
    fitted_on = [(score(sample), sample.correct_QM) for sample in samples]
    judged_on = [(score(matrix), matrix) for matrix in validation]
    known = [~np.isnan(matrix.correct_QM) for matrix in validation]
    correct_C = _cells([matrix.correct_QM for matrix in validation], known)
    even_C = _cells([scores.even_Q[:, None] for scores, _ in judged_on], known)
    evidence_C = _cells(
        [card_features(matrix.cards).mean_evidence_M[None] for matrix in validation], known
    )

    def fit(precision: float) -> tuple[float, FittedOutputs]:
        effects = [
            fit_effects(scores.log_odds_QM, scores.relevance_QT, correct_QM, precision)
            for scores, correct_QM in fitted_on
        ]
        log_odds_C = _cells(
            [
                scores.log_odds_QM + scores.relevance_QT @ effects_MT.T
                for (scores, _), effects_MT in zip(judged_on, effects, strict=True)
            ],
            known,
        )
        shrinkage = fit_shrinkage(log_odds_C, even_C, evidence_C, correct_C)
        shrunk_C = shrinkage.shrunk(log_odds_C, even_C, evidence_C)
        calibration = fit_calibration(shrunk_C, correct_C)
        known_cards = tuple(
            _known_cards(source.cards, effects_MT)
            for source, effects_MT in zip(training, effects, strict=True)
        )
        loss = _log_loss(calibration.probabilities(shrunk_C), correct_C)
        return loss, FittedOutputs(known_cards, shrinkage, calibration, precision)

    return min((fit(precision) for precision in _PRECISIONS), key=lambda fitted: fitted[0])[1]


def _cells(values: Sequence[Floats], known: Sequence[npt.NDArray[np.bool_]]) -> Floats:
    """Values of all known cells, one after the other; rows or columns alone are repeated."""
    return np.concatenate(
        [
            np.broadcast_to(part, is_known.shape)[is_known]
            for part, is_known in zip(values, known, strict=True)
        ]
    )


def _known_cards(cards: Sequence[Card], effects_MT: Floats) -> KnownCards:
    features = card_features(cards)
    return KnownCards(features.texts, features.num_correct_MT, effects_MT)


def _log_loss(probabilities: Floats, correct: Floats) -> float:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(correct * np.log(clipped) + (1 - correct) * np.log(1 - clipped)))
