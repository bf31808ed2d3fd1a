"""What is fitted once the network is trained: effects of known cards, then calibration.

Shapes: Q instructions, M candidates, T statements.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelsat.capability.cards import Card
from modelsat.modeling.calibration import Calibration, fit_calibration
from modelsat.modeling.card_features import card_features
from modelsat.modeling.known_cards import KnownCards, fit_effects
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.training.data import Floats, OutcomeMatrix, OutcomeSource

# Answers that a candidate's mean counts for against what is seen on one task; chosen on
# validation instructions.
_PRECISIONS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 1e6)
_BATCH_SIZE = 64  # instructions; bounds memory, changes no result

Forward = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class FittedOutputs:
    """What turns the network's log-odds into probabilities.

    Attributes:
        known_cards: one per source of training outcomes.
        calibration: of log-odds with effects.
        precision: of the prior on the effects, as chosen.
    """

    known_cards: tuple[KnownCards, ...]
    calibration: Calibration
    precision: float


def network_scores(
    forward: Forward, tokenizer: InstructionTokenizer, matrix: OutcomeMatrix, device: torch.device
) -> tuple[Floats, Floats]:
    """Uncalibrated log-odds [Q, M] and relevance of the statements [Q, T], both float32.

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
    weights_MT = torch.from_numpy(features.weights_MT).to(device)
    log_odds_QM = np.zeros(matrix.correct_QM.shape, dtype=np.float32)
    relevance_QT = np.zeros((len(matrix), len(features.texts)), dtype=np.float32)
    order = np.argsort([len(text) for text in matrix.instructions], kind="stable")
    with torch.no_grad():
        for start in range(0, len(order), _BATCH_SIZE):
            rows = order[start : start + _BATCH_SIZE]
            tokens = tokenizer([matrix.instructions[i] for i in rows]).to(device)
            log_odds, log_relevance = forward(tokens, statements, weights_MT)
            log_odds_QM[rows] = log_odds.float().cpu().numpy()
            relevance_QT[rows] = log_relevance.float().exp().cpu().numpy()
    return log_odds_QM, relevance_QT


def fit_outputs(
    score: Callable[[OutcomeMatrix], tuple[Floats, Floats]],
    training: Sequence[OutcomeSource],
    validation: Sequence[OutcomeMatrix],
    *,
    num_instructions: int,
    seed: int,
) -> FittedOutputs:
    """Fit effects on training outcomes, and their precision and the calibration on validation.

    Args:
        score: log-odds and relevance of a matrix's instructions and cards.
        training: the training outcomes.
        validation: outcomes kept apart, matrix by matrix.
        num_instructions: training instructions to take of each source, drawn at random.
        seed: seeds the draw.
    """
    samples = [source.sample(num_instructions, seed) for source in training]
    fitted_on = [(*score(sample), sample.correct_QM) for sample in samples]
    judged_on = [(*score(matrix), matrix.correct_QM) for matrix in validation]
    outcomes = np.concatenate([correct_QM.ravel() for _, _, correct_QM in judged_on])
    known = ~np.isnan(outcomes)
    best: tuple[float, Any] | None = None
    for precision in _PRECISIONS:
        effects = [fit_effects(*cells, precision) for cells in fitted_on]
        log_odds = np.concatenate(
            [
                (log_odds_QM + relevance_QT @ effects_MT.T).ravel()
                for (log_odds_QM, relevance_QT, _), effects_MT in zip(
                    judged_on, effects, strict=True
                )
            ]
        )
        calibration = fit_calibration(log_odds[known], outcomes[known])
        loss = _log_loss(calibration.probabilities(log_odds[known]), outcomes[known])
        if best is None or loss < best[0]:
            best = (loss, (effects, calibration, precision))
    assert best is not None
    effects, calibration, precision = best[1]
    return FittedOutputs(
        tuple(
            _known_cards(source.cards, effects_MT)
            for source, effects_MT in zip(training, effects, strict=True)
        ),
        calibration,
        precision,
    )


def _known_cards(cards: Sequence[Card], effects_MT: Floats) -> KnownCards:
    features = card_features(cards)
    return KnownCards(features.texts, features.num_correct_MT, effects_MT)


def _log_loss(probabilities: Floats, correct: Floats) -> float:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(correct * np.log(clipped) + (1 - correct) * np.log(1 - clipped)))
