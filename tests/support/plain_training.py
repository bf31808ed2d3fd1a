"""Training in one process with plain PyTorch, in place of Ray Train and DeepSpeed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modelsat.evaluation.metrics import cell_auc
from modelsat.modeling.model import ModelSat
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.training.adapters import merge_adapters
from modelsat.training.batches import BatchSampler
from modelsat.training.config import StageName, TrainingConfig
from modelsat.training.loop import StageRunner, all_cells, validation_loss
from modelsat.training.stages import (
    adapt_for_stage,
    freeze_for_stage,
    parameter_groups,
    schedule,
)


class TorchEngine:
    """One process, plain PyTorch: AdamW with clipped gradients and a schedule."""

    def __init__(
        self, model: ModelSat, stage: StageName, config: TrainingConfig, total_steps: int
    ) -> None:
        """Prepare the optimizer of one stage; the model's parameters must be frozen for it."""
        self.model = model
        self.max_grad_norm = config.max_grad_norm
        self.accumulation = config.gradient_accumulation_steps
        self._passes = 0
        groups = parameter_groups(model, config.stage(stage), config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, schedule(config, total_steps)
        )

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Run the model: log-odds, log-relevance and embedded instructions."""
        output: tuple[Tensor, Tensor, Tensor] = self.model(*inputs)
        return output

    def backward(self, loss: Tensor) -> None:
        """Accumulate gradients."""
        (loss / self.accumulation).backward()

    def step(self) -> None:
        """End a pass; after a step's last one clip, update, advance the schedule, clear."""
        self._passes += 1
        if self._passes % self.accumulation:
            return
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class EpochResult:
    """What one epoch did.

    Attributes:
        stage: name of the stage.
        epoch: number within the stage, from 1; 0 is the state before it.
        training_loss: mean over the epoch's steps, nats; None for epoch 0.
        validation_loss: on instructions kept apart, real candidates only, nats; mean over
            instructions of all matrices.
        validation_auc: AUC over the (instruction, candidate) cells of all matrices; None if one
            class is absent.
    """

    stage: StageName
    epoch: int
    training_loss: float | None
    validation_loss: float
    validation_auc: float | None


def train_in_process(
    model: ModelSat,
    tokenizer: InstructionTokenizer,
    training: Sequence[OutcomeMatrix],
    validation: Sequence[OutcomeMatrix],
    config: TrainingConfig,
    stages: tuple[StageName, ...] = ("connector", "all"),
) -> Iterator[EpochResult]:
    """Train both stages in this process with plain PyTorch, yielding after every epoch."""
    device = next(model.parameters()).device
    for number, stage in enumerate(stages):
        sampler = BatchSampler(
            training,
            batch_size=config.batch_size,
            composites=config.composites,
            max_steps=config.stage(stage).max_steps,
            accumulation=config.gradient_accumulation_steps,
            seed=config.seed + number,
        )
        epochs = config.stage(stage).epochs
        adapt_for_stage(model, stage, config)
        freeze_for_stage(model, stage, config.frozen_layers)
        engine = TorchEngine(model, stage, config, epochs * sampler.steps_per_epoch)
        runner = StageRunner(engine, tokenizer, training, config, device)
        for epoch in range(epochs + 1):
            loss = None
            if epoch:
                freeze_for_stage(model, stage, config.frozen_layers)
                loss = runner.train_epoch(sampler, epoch, lambda result: None)
            model.eval()
            scores = runner.validation_scores(validation)
            yield EpochResult(
                stage,
                epoch,
                loss,
                validation_loss(scores, validation, config.loss),
                cell_auc(*all_cells(scores, validation)),
            )
        merge_adapters(model.base)
