"""Attention while a network trains on CPUs in bfloat16: written out, product by product.

The fused kernel's backward pass is slow there: a layer of MiniLM over 32 instructions of 138 tokens
takes 93 ms forward and back, written out 25 (docs/experiments.md). In float32 it takes 51, and GPUs
have other kernels: there it stays.
"""

import torch
from torch import nn
from transformers import PreTrainedModel

from modelsat.training.config import Precision


def write_out_attention(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Let base and encoder write attention out where the fused kernel's backward pass is slow.

    Args:
        model: the network; what it computes stays the same to rounding.
        device: where it trains.
        precision: dtype of weights and products.
    """
    if device.type != "cpu" or precision == "float32":
        return
    for part in model.modules():
        if isinstance(part, PreTrainedModel):
            part.set_attn_implementation("eager")
