"""What trains in each stage, and how fast."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modelsat.modeling.model import ModelSat
from modelsat.training.adapters import add_adapters, has_adapters, is_adapter, merge_adapters
from modelsat.training.config import StageConfig, StageName, TrainingConfig
from modelsat.training.recomputation import keep_recomputing

STAGES: tuple[StageName, ...] = ("connector", "all")


# Layers are numbered under these names in Hugging Face models: BERT, RoBERTa and MPNet; Llama,
# Phi-3 and ModernBERT; GPT-2.
_LAYER = re.compile(r"\.(?:layer|layers|h)\.(\d+)\.")
_EMBEDDINGS = re.compile(r"\.(?:embeddings|embed_tokens|wte|wpe)\.")


def adapt_for_stage(model: ModelSat, stage: StageName, config: TrainingConfig) -> None:
    """Give the base model adapters if the stage trains them in place of its own weights.

    Raises:
        ConfigError: the base model has no layers that these adapters fit.
        MachineError: adapters are asked for, and peft is not installed.
    """
    if config.lora is not None and stage == "all":
        add_adapters(model.base, config.lora, config.seed)


def freeze_for_stage(model: ModelSat, stage: StageName, frozen_layers: int | None = None) -> None:
    """Let only the stage's parameters train; frozen parts also stop dropping out.

    Of a base model with adapters these train, and none of its own weights.

    Args:
        model: the network.
        stage: ``connector`` trains the connector alone, ``all`` everything.
        frozen_layers: stage ``all`` leaves the embeddings and as many of the lowest layers of base
            and encoder as they are; None leaves nothing.
    """
    trains_all = stage == "all"
    is_adapted = has_adapters(model.base)
    model.train(trains_all)
    for name, parameter in model.named_parameters():
        kept = frozen_layers is not None and _is_low(name, frozen_layers)
        kept = kept or (is_adapted and name.startswith("base.") and not is_adapter(name))
        parameter.requires_grad = name.startswith("connector.") or (trains_all and not kept)
    keep_recomputing(model)


def take_trained(
    model: ModelSat, stage: StageName, config: TrainingConfig, state: Mapping[str, Tensor]
) -> None:
    """Put what a stage trained into the network as it was before all stages.

    What the stage leaves frozen stays as it is here; adapters end in the weights beside them.

    Args:
        model: the network before training; plain, without adapters.
        stage: the stage that has ended.
        config: the training run.
        state: by name, every parameter that trained in it, float32.
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
    """Trainable parameters by learning rate and weight decay.

    Encoder and connector take ``capability_learning_rate``, base and read-out
    ``learning_rate``; vectors (biases, norms) do not decay.
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
    """Factor on the peak rates by step: linear rise, then linear fall to 0."""
    warmup_steps = max(1, round(config.warmup_fraction * total_steps))

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))

    return factor
