"""The training engine on DeepSpeed ZeRO. The only module that imports DeepSpeed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.ops.adam import DeepSpeedCPUAdam
from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
from torch import Tensor

from modelsat.errors import CheckpointError
from modelsat.modeling.model import ModelSat
from modelsat.training.config import StageName, TrainingConfig
from modelsat.training.stages import parameter_groups, schedule
from train_jobs.attention import use_eager_attention
from train_jobs.build_locks import remove_stale_build_locks
from train_jobs.config import DeepSpeedConfig
from train_jobs.recomputation import recompute_activations
from train_jobs.sharding import deepspeed_settings

_TAG = "state"
_INFERENCE_OP = "deepspeed_shm_comm"


def start_distributed(backend: str) -> None:
    """Make DeepSpeed use the process group that Ray Train has set up."""
    remove_stale_build_locks()
    if backend == "gloo":
        # On CPUs DeepSpeed would compile this op first: a minute of two cores for what only
        # inference with tensor parallelism uses.
        deepspeed.ops.__compatible_ops__[_INFERENCE_OP] = False
    deepspeed.init_distributed(dist_backend=backend, verbose=False)


class DeepSpeedEngine:
    """The training loop's ``Engine`` on ZeRO-2 or ZeRO-3, for a single stage.

    Each stage needs a new engine, because ZeRO flattens the trainable parameters.

    Args:
        model: the network, with parameters frozen for the stage.
        stage: the stage whose learning rates are used.
        config: the training run.
        options: sharding and precision, which must be resolved.
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
        """Initialise DeepSpeed with model, optimizer and schedule."""
        if options.activation_checkpointing:
            recompute_activations(model)
        self._rates = config.stage(stage)
        optimizer = _optimizer(parameter_groups(model, self._rates, config.weight_decay), options)
        factor = schedule(config, total_steps)
        self._options = options
        self._engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            lr_scheduler=_scheduler(factor),
            config=deepspeed_settings(config, options),
        )
        use_eager_attention(model, self.device, options.resolved_precision)

    @property
    def model(self) -> ModelSat:
        """The wrapped model."""
        module: ModelSat = self._engine.module
        return module

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return torch.device(self._engine.device)

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Run the model: log-odds, log-relevance and embedded instructions."""
        output: tuple[Tensor, Tensor, Tensor] = self._engine(*inputs)
        return output

    def backward(self, loss: Tensor) -> None:
        """Accumulate and reduce gradients."""
        self._engine.backward(loss)

    def step(self) -> None:
        """End a pass; after a step's last pass clip, update, advance the schedule, zero."""
        self._engine.step()

    def learning_rates(self) -> dict[str, float]:
        """Return the current learning rate of base and capability parts, if they train."""
        current = {
            group["initial_lr"]: float(group["lr"]) for group in self._engine.optimizer.param_groups
        }
        peaks = {
            "base": self._rates.learning_rate,
            "capability": self._rates.capability_learning_rate,
        }
        return {part: current[peak] for part, peak in peaks.items() if peak in current}

    def full_state(self) -> dict[str, Tensor]:
        """Return every parameter, gathered, in float32 on the CPU, on every worker."""
        state = {}
        for name, parameter in self.model.named_parameters():
            with deepspeed.zero.GatheredParameters(
                [parameter], enabled=self._options.zero_stage == 3
            ):
                state[name] = parameter.detach().to("cpu", torch.float32, copy=True)
        return state

    def save(self, directory: Path) -> None:
        """Write this worker's part of a checkpoint: private, pickled, never served.

        Parameters that the stage freezes are excluded: a resumed run builds the model from the
        same parts, which include them.
        """
        self._engine.save_checkpoint(str(directory), tag=_TAG, exclude_frozen_parameters=True)

    def load(self, directory: Path) -> None:
        """Continue from a checkpoint of the same stage and number of workers.

        Raises:
            CheckpointError: DeepSpeed finds no usable state there.
        """
        path, _ = self._engine.load_checkpoint(str(directory), tag=_TAG, load_module_strict=False)
        if path is None:
            raise CheckpointError(
                f"{directory} has no usable training checkpoint; remove it to start over"
            )


def read_weights(directory: Path) -> dict[str, Tensor]:
    """Read every trained parameter of a checkpoint, gathered, in float32 on the CPU.

    Args:
        directory: a folder that :meth:`DeepSpeedEngine.save` wrote on every worker.
    """
    state: dict[str, Tensor] = get_fp32_state_dict_from_zero_checkpoint(str(directory), tag=_TAG)
    return state


def _optimizer(groups: list[dict[str, Any]], options: DeepSpeedConfig) -> torch.optim.Optimizer:
    if options.offload_optimizer:
        return DeepSpeedCPUAdam(groups, adamw_mode=True)
    # The unfused optimizer makes two copies of all parameters it updates.
    return torch.optim.AdamW(groups, fused=True)


def _scheduler(
    factor: Callable[[int], float],
) -> Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LambdaLR]:
    def build(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    return build
