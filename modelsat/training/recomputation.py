"""Activation checkpointing: layers keep their inputs alone and run again in the backward pass."""

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from modelsat.errors import ConfigError


def recompute_activations(model: nn.Module) -> None:
    """Let every layer of base and encoder run again in the backward pass.

    Raises:
        ConfigError: a part cannot.
    """
    for part in model.modules():
        if not isinstance(part, PreTrainedModel):
            continue
        if not part.supports_gradient_checkpointing:
            raise ConfigError(
                f"{type(part).__name__} cannot recompute its activations; set "
                "deepspeed.activation_checkpointing: false"
            )
        part.gradient_checkpointing_enable({"use_reentrant": False})
        part.config.use_cache = False


def keep_recomputing(model: nn.Module) -> None:
    """Let layers that recompute do so although their model is not in training mode.

    They look at their own mode only, their parts (dropout) at theirs: in stage 1 the base model is
    frozen, but the gradient of the capability tokens still runs through all of it.
    """
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing:
            module.training = True
