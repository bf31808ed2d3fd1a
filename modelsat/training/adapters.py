"""Low-rank adapters (LoRA) that train instead of the base model's own weights.

The only module that imports peft, and only if adapters are configured. Adapters exist while a stage
trains; afterwards they are merged into the weights, and the base model has the same names, shapes
and dtypes as before.
"""

import warnings
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from modelsat.errors import ConfigError, MachineError
from modelsat.training.config import LoraConfig


def add_adapters(base: PreTrainedModel, lora: LoraConfig, seed: int) -> None:
    """Add adapters to a base model's linear layers; its outputs do not change at first.

    A layer ``q_proj`` then has ``q_proj.base_layer`` and the adapter's two matrices; the second
    is initialised to 0.

    Args:
        base: model without a head.
        lora: layers and size of the adapters.
        seed: seeds the adapters' first matrices.

    Raises:
        ConfigError: the base model does not have these layers.
        MachineError: peft is not installed.
    """
    peft = _import_peft()
    targets = lora.target_modules
    options = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # GPT-2 stores its matrices transposed; peft detects this and warns.
        warnings.filterwarnings("ignore", message="fan_in_fan_out")
        torch.manual_seed(seed)
        try:
            peft.inject_adapter_in_model(options, base)
        except ValueError as error:
            raise _cannot_adapt(base, targets, error) from None
    # peft adds float32 adapters to a bfloat16 model; the optimizer has its own master copies.
    for name, parameter in base.named_parameters():
        if is_adapter(name):
            parameter.data = parameter.data.to(base.dtype)


def merge_adapters(base: PreTrainedModel) -> None:
    """Merge adapters into the weights and remove them, if the base model has any."""
    if not has_adapters(base):
        return
    layer_type = _import_peft().tuners.tuners_utils.BaseTunerLayer
    for name, layer in list(base.named_modules()):
        if isinstance(layer, layer_type):
            layer.merge()
            base.set_submodule(name, layer.get_base_layer(), strict=True)
    del base.peft_config


def has_adapters(base: nn.Module) -> bool:
    """Whether a base model has adapters."""
    return any(is_adapter(name) for name, _ in base.named_parameters())


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name is part of an adapter."""
    return ".lora_" in name


def _import_peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MachineError(
            f"training.lora needs the package {error.name}, which is not installed: "
            "pip install 'model-sat[train]', or omit training.lora"
        ) from None
    return peft


def _cannot_adapt(
    base: PreTrainedModel, targets: str | tuple[str, ...], error: ValueError
) -> ConfigError:
    linear = {
        name.rsplit(".", 1)[-1]
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear)
    }
    reason = " ".join(str(error).split())[:200]
    return ConfigError(
        f"training.lora.target_modules {targets!r} do not match {type(base).__name__}: {reason}; "
        f"its linear layers are {', '.join(sorted(linear))}: list some, or use all-linear"
    )
