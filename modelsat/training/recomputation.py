"""Activation checkpointing: layers store only their inputs and are recomputed in backward."""

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from modelsat.errors import ConfigError


def recompute_activations(model: nn.Module) -> None:
    """Enable activation checkpointing in every layer of base and encoder.

    Raises:
        ConfigError: base or encoder does not support it.
    """
    for part in model.modules():
        if not isinstance(part, PreTrainedModel):
            continue
        if not part.supports_gradient_checkpointing:
            raise ConfigError(
                f"{type(part).__name__} does not support activation checkpointing; set "
                "deepspeed.activation_checkpointing: false"
            )
        part.gradient_checkpointing_enable({"use_reentrant": False})
        part.config.use_cache = False


def keep_recomputing(model: nn.Module) -> None:
    """Keep activation checkpointing active in layers of a model in evaluation mode.

    Layers check only their own mode, and their submodules (dropout) theirs: in stage 1 the base
    model is frozen, but the gradient of the capability tokens still flows through all of it.
    """
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing:
            module.training = True
