"""Activation checkpointing: layers store only their inputs and are recomputed in backward."""

from torch import nn
from transformers import PreTrainedModel

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
