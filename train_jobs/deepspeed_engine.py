"""The training engine on DeepSpeed ZeRO. The only module that names DeepSpeed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch import Tensor

from modelsat.errors import CheckpointError
from modelsat.modeling.model import ModelSat
from modelsat.training.config import StageName, TrainingConfig
from modelsat.training.stages import parameter_groups, schedule
from train_jobs.config import DeepSpeedConfig

_TAG = "state"


def start_distributed(backend: str) -> None:
    """Let DeepSpeed use the process group that Ray Train has set up."""
    deepspeed.init_distributed(dist_backend=backend, verbose=False)


class DeepSpeedEngine:
    """One stage's engine: the loop's ``Engine`` on ZeRO-2 or ZeRO-3.

    A stage needs an engine of its own, because ZeRO flattens the trainable parameters.

    Args:
        model: its parameters must be frozen for the stage.
        stage: which stage's learning rates to use.
        config: the training run.
        options: sharding and precision.
        total_steps: steps of the stage, for the schedule.
    """

    def __init__(
        self,
        model: ModelSat,
        stage: StageName,
        config: TrainingConfig,
        options: DeepSpeedConfig,
        total_steps: int,
    ) -> None:
        """Hand model, optimizer and schedule to DeepSpeed."""
        optimizer = torch.optim.AdamW(
            parameter_groups(model, config.stage(stage), config.weight_decay)
        )
        factor = schedule(config, total_steps)
        self._options = options
        self._engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            lr_scheduler=_scheduler(factor),
            config=_deepspeed_settings(config, options),
        )

    @property
    def model(self) -> ModelSat:
        """The model inside."""
        module: ModelSat = self._engine.module
        return module

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self._engine.device)

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Run the model: log-odds and log-relevance."""
        output: tuple[Tensor, Tensor] = self._engine(*inputs)
        return output

    def backward(self, loss: Tensor) -> None:
        """Accumulate and reduce gradients."""
        self._engine.backward(loss)

    def step(self) -> None:
        """Clip, update, advance the schedule, clear the gradients."""
        self._engine.step()

    def full_state(self) -> dict[str, Tensor]:
        """Every parameter, whole, in float32 on the CPU, on every worker."""
        state = {}
        for name, parameter in self.model.named_parameters():
            with deepspeed.zero.GatheredParameters(
                [parameter], enabled=self._options.zero_stage == 3
            ):
                state[name] = parameter.detach().to("cpu", torch.float32, copy=True)
        return state

    def save(self, directory: Path) -> None:
        """Write this worker's part of a checkpoint: private, pickled, never served."""
        self._engine.save_checkpoint(str(directory), tag=_TAG)

    def load(self, directory: Path) -> None:
        """Continue from a checkpoint of the same stage and number of workers.

        Raises:
            CheckpointError: DeepSpeed finds no usable state there.
        """
        path, _ = self._engine.load_checkpoint(str(directory), tag=_TAG)
        if path is None:
            raise CheckpointError(
                f"{directory} holds no usable training checkpoint; remove it to start over"
            )


def _scheduler(
    factor: Callable[[int], float],
) -> Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LambdaLR]:
    def build(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    return build


def _deepspeed_settings(config: TrainingConfig, options: DeepSpeedConfig) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": config.batch_size,
        "gradient_clipping": config.max_grad_norm,
        "bf16": {"enabled": options.precision == "bf16"},
        "torch_autocast": {"enabled": options.precision == "autocast", "dtype": "bfloat16"},
        "zero_optimization": {"stage": options.zero_stage, "overlap_comm": False},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
