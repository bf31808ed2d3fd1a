"""Trainable parameters and learning rates of each stage."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from modelsat.modeling.model import ModelSat
from modelsat.training.adapters import add_adapters, has_adapters, is_adapter, merge_adapters
from modelsat.training.config import StageConfig, StageName, TrainingConfig

# Names of numbered layers in Hugging Face models: BERT, RoBERTa and MPNet; Llama, Phi-3 and
# ModernBERT; GPT-2.
_LAYER = re.compile(r"\.(?:layer|layers|h)\.(\d+)\.")
_EMBEDDINGS = re.compile(r"\.(?:embeddings|embed_tokens|wte|wpe)\.")


def adapt_for_stage(model: ModelSat, stage: StageName, config: TrainingConfig) -> None:
    """Add adapters to the base model if the stage trains them instead of its weights.

    Raises:
        ConfigError: the base model has no layers that match these adapters.
        MachineError: adapters are configured, but peft is not installed.
    """
    if config.lora is not None and stage == "all":
        add_adapters(model.base, config.lora, config.seed)


def freeze_for_stage(model: ModelSat, stage: StageName, frozen_layers: int | None = None) -> None:
    """Freeze everything outside the stage; in stage ``connector`` also disable dropout.

    If the base model has adapters, they train and its own weights are frozen.

    Args:
        model: the network.
        stage: ``connector`` trains only the connector, ``all`` everything.
        frozen_layers: number of lowest layers of base and encoder that stage ``all`` freezes,
            with the embeddings; None freezes nothing.
    """
    trains_all = stage == "all"
    is_adapted = has_adapters(model.base)
    model.train(trains_all)
    for name, parameter in model.named_parameters():
        frozen = frozen_layers is not None and _is_low(name, frozen_layers)
        frozen = frozen or (is_adapted and name.startswith("base.") and not is_adapter(name))
        parameter.requires_grad = name.startswith("connector.") or (trains_all and not frozen)
    _keep_recomputing(model)


def _keep_recomputing(model: nn.Module) -> None:
    """Keep activation checkpointing active in layers of a model in evaluation mode.

    Layers check only their own mode, and their submodules (dropout) theirs: in stage 1 the base
    model is frozen, but the gradient of the capability tokens still flows through all of it.
    """
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing:
            module.training = True


def load_trained(
    model: ModelSat, stage: StageName, config: TrainingConfig, state: Mapping[str, Tensor]
) -> None:
    """Load the trained parameters of a stage into an untrained network.

    Parameters that the stage freezes are unchanged; adapters are merged into the weights.

    Args:
        model: the network before training, without adapters.
        stage: the finished stage.
        config: the training run.
        state: every parameter that the stage trained, by name, float32.
    """
    adapt_for_stage(model, stage, config)
    freeze_for_stage(model, stage, config.frozen_layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(state[name])
    merge_adapters(model.base)


def _is_low(name: str, num_layers: int) -> bool:
    if not name.startswith(("base.", "encoder.")):
        return False
    layer = _LAYER.search(name)
    if layer is None:
        return _EMBEDDINGS.search(name) is not None
    return int(layer.group(1)) < num_layers


def parameter_groups(
    model: ModelSat, stage: StageConfig, weight_decay: float
) -> list[dict[str, Any]]:
    """Group trainable parameters by learning rate and weight decay.

    Encoder and connector use ``capability_learning_rate``, base and read-out
    ``learning_rate``; vectors (biases, norms) have no weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_capability = name.startswith(("encoder.", "connector."))
        rate = stage.capability_learning_rate if is_capability else stage.learning_rate
        decay = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": members, "lr": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]


def schedule(config: TrainingConfig, total_steps: int) -> Callable[[int], float]:
    """Return the learning-rate factor by step: linear warm-up, then linear decay to 0."""
    warmup_steps = max(1, round(config.warmup_fraction * total_steps))

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))

    return factor
