"""The training loop, over any engine that runs the model and updates its weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from modelsat.modeling.card_features import card_features
from modelsat.modeling.tokenization import InstructionTokenizer, InstructionTokens
from modelsat.outcomes.matrix import Floats, OutcomeMatrix, OutcomeSource
from modelsat.training.batches import Batch, BatchSampler
from modelsat.training.config import LossConfig, TrainingConfig
from modelsat.training.losses import alignment_loss, scoring_loss
from modelsat.training.outputs import network_scores


class Engine(Protocol):
    """The training engine that the loop uses; it holds model, optimizer and schedule."""

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Run the model: log-odds and log-relevance."""

    def backward(self, loss: Tensor) -> None:
        """Accumulate gradients."""

    def step(self) -> None:
        """End a pass; after a step's last pass update weights and schedule, zero gradients."""


@dataclass(frozen=True)
class StepResult:
    """Result of a step.

    Attributes:
        step: number within the epoch, from 1.
        loss: mean over this worker's passes, nats.
        tokens: tokens of this worker's instructions, with inquiries and without padding.
    """

    step: int
    loss: float
    tokens: int


class StageRunner:
    """Runs the epochs of a stage on a worker; ``device`` is that of the engine's weights."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: InstructionTokenizer,
        sources: Sequence[OutcomeSource],
        config: TrainingConfig,
        device: torch.device,
    ) -> None:
        """Tokenize the statements of all sources."""
        self.engine = engine
        self.tokenizer = tokenizer
        self.statements = [self._statements(source, device) for source in sources]
        self.config = config
        self.device = device

    def train_epoch(
        self, sampler: BatchSampler, epoch: int, on_step: Callable[[StepResult], None]
    ) -> float:
        """Train an epoch; returns the mean loss of this worker's passes, in nats.

        Dropout uses torch's global generator, which is seeded here, so that an epoch does not
        depend on earlier interruptions.
        """
        entropy = np.random.SeedSequence((sampler.seed, epoch, sampler.rank))
        torch.manual_seed(int(entropy.generate_state(1)[0]))
        losses: list[float] = []
        num_tokens = 0
        for passes, batch in enumerate(sampler.epoch(epoch), start=1):
            tokens = self.tokenizer(batch.instructions)
            num_tokens += int(tokens.mask_BS.sum())
            loss = self._loss(batch, tokens.to(self.device), epoch)
            self.engine.backward(loss)
            self.engine.step()
            losses.append(float(loss.detach()))
            step, passes_left = divmod(passes, sampler.accumulation)
            if not passes_left:
                mean = float(np.mean(losses[-sampler.accumulation :]))
                on_step(StepResult(step, mean, num_tokens))
                num_tokens = 0
        return float(np.mean(losses))

    def _loss(self, batch: Batch, tokens: InstructionTokens, epoch: int) -> Tensor:
        rng = np.random.default_rng((self.config.seed, epoch, batch.number, 1))
        log_odds_BM, log_relevance_BT, _ = self.engine.forward(
            tokens,
            self.statements[batch.source],
            torch.from_numpy(batch.weights).to(self.device),
        )
        options = self.config.loss
        alignment = alignment_loss(log_relevance_BT, batch.statement)
        return (
            scoring_loss(log_odds_BM, batch.correct, options, rng, batch.terms)
            + options.alignment_weight * batch.terms.statements * alignment
        )

    def validation_scores(self, matrices: Sequence[OutcomeMatrix]) -> list[Floats]:
        """Compute uncalibrated log-odds of all instructions and candidates, float32 [Q, M] each."""
        return [
            network_scores(self.engine.forward, self.tokenizer, matrix, self.device).log_odds_QM
            for matrix in matrices
        ]

    def _statements(self, source: OutcomeSource, device: torch.device) -> dict[str, Tensor]:
        features = self.tokenizer.encoder_features(card_features(source.cards).texts)
        return {name: value.to(device) for name, value in features.items()}


def validation_loss(
    scores: Sequence[Floats], matrices: Sequence[OutcomeMatrix], config: LossConfig
) -> float:
    """Compute the score terms of the training loss with fixed groups, in nats.

    Args:
        scores: log-odds [Q, M] of every matrix.
        matrices: their outcomes.
        config: weights of the loss terms.

    Returns:
        Mean over the instructions of all matrices.
    """
    rng = np.random.default_rng(0)
    losses = [
        float(scoring_loss(torch.from_numpy(log_odds), matrix.correct_QM, config, rng))
        for log_odds, matrix in zip(scores, matrices, strict=True)
    ]
    return float(np.average(losses, weights=[len(matrix) for matrix in matrices]))


def all_cells(scores: Sequence[Floats], matrices: Sequence[OutcomeMatrix]) -> tuple[Floats, Floats]:
    """Flatten scores and outcomes of every known cell of all matrices into two vectors."""
    known = [~np.isnan(matrix.correct_QM) for matrix in matrices]
    outcomes = [matrix.correct_QM[cells] for matrix, cells in zip(matrices, known, strict=True)]
    scored = [log_odds[cells] for log_odds, cells in zip(scores, known, strict=True)]
    return np.concatenate(scored), np.concatenate(outcomes)
