"""Matrix factorisation: a vector per candidate times the projected embedding.

Shapes: Q questions, M candidates, E embedding width, D width of the common space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from modelsat.capability.cards import Card
from modelsat.evaluation.baselines.learner import (
    SEED,
    Learner,
    Predictor,
    Questions,
    columns_of,
)
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

_BATCH_QUESTIONS = 64
_LEARNING_RATE = 1e-3
_INITIAL_STD = 0.1  # of the candidates' vectors; log-odds then start near 0


class BilinearModel(nn.Module):
    """``w . (v_m * (W x + b))``, RouteLLM's form (arXiv 2406.18665, matrix factorisation)."""

    def __init__(self, embedding_width: int, num_candidates: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(embedding_width, width)
        self.candidates_MD = nn.Parameter(torch.randn(num_candidates, width) * _INITIAL_STD)
        self.readout = nn.Parameter(torch.ones(width))

    def forward(self, embeddings_QE: Tensor) -> Tensor:
        """Log-odds [Q, M] that each candidate answers each question correctly."""
        projected_QD = self.projection(embeddings_QE) * self.readout
        log_odds_QM: Tensor = projected_QD @ self.candidates_MD.T
        return log_odds_QM


@dataclass(frozen=True)
class Factorization:
    """A trained bilinear form."""

    model: BilinearModel
    candidates: tuple[str, ...]

    @torch.inference_mode()
    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Log-odds of each candidate on each question, [Q, M]."""
        columns = columns_of(self.candidates, cards)
        log_odds_QM = self.model(_scaled(questions.embeddings_QE)).numpy()
        return np.asarray(log_odds_QM[:, columns], dtype=np.float32)


def fit_factorization(
    training: OutcomeMatrix,
    embeddings_QE: Floats,
    *,
    width: int,
    num_steps: int,
    weight_decay: float,
) -> Predictor:
    """Minimise the cross-entropy over known cells with AdamW; unknown cells have weight 0.

    The questions of a step are drawn uniformly, with replacement.
    """
    inputs_QE = _scaled(embeddings_QE)
    known_QM = torch.from_numpy(~np.isnan(training.correct_QM))
    targets_QM = torch.from_numpy(np.nan_to_num(training.correct_QM))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = BilinearModel(inputs_QE.shape[1], targets_QM.shape[1], width)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=_LEARNING_RATE, weight_decay=weight_decay
        )
        for _ in range(num_steps):
            rows = torch.randint(len(inputs_QE), (_BATCH_QUESTIONS,))
            losses_QM = nn.functional.binary_cross_entropy_with_logits(
                model(inputs_QE[rows]), targets_QM[rows], reduction="none"
            )
            known = known_QM[rows]
            loss = (losses_QM * known).sum() / known.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Factorization(model, training.candidates)


def _scaled(embeddings_QE: Floats) -> Tensor:
    # Unit vectors have entries near 1/sqrt(E), too small for the default learning rate.
    scale = np.float32(np.sqrt(embeddings_QE.shape[1]))
    return torch.from_numpy(np.ascontiguousarray(embeddings_QE, dtype=np.float32) * scale)


FACTORIZATION = Learner(
    "matrix_factorization",
    "candidate vector times projected embedding (after RouteLLM)",
    fit_factorization,
    {"width": (8, 32), "num_steps": (500, 1500), "weight_decay": (1.0, 3.0, 10.0)},
)
