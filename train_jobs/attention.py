"""Eager attention for training on CPUs in bfloat16.

The fused kernel's backward pass is slow there: a layer of MiniLM over 32 instructions of 138 tokens
takes 93 ms forward and backward, eager attention 25 (docs/experiments.md). The fused kernel is kept
in float32, where it takes 51, and on GPUs, which have other kernels.
"""

import torch
from torch import nn
from transformers import PreTrainedModel

from modelsat.training.config import Precision


def use_eager_attention(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Switch base and encoder to eager attention where the fused backward pass is slow.

    Args:
        model: the network; its outputs change only by rounding.
        device: device of the training.
        precision: dtype of weights and products.
    """
    if device.type != "cpu" or precision == "float32":
        return
    for part in model.modules():
        if isinstance(part, PreTrainedModel):
            part.set_attn_implementation("eager")
