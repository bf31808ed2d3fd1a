"""Sparse attention for the ``instruction_first`` layout.

A dense mask over S + M tokens costs (S + M)^2, but a capability token sees only the S tokens of
the prefix and itself, so S^2 + M (S + 1) is enough. The function below is registered with
transformers' attention interface, so any base model with plain softmax attention can use it,
including rotary positions and grouped heads. With MiniLM and 1,000 candidates the base model's
pass takes half the time (docs/experiments.md).

Shapes: B instructions, M candidates, S tokens of a prefix, H heads, d width of a head.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

SHARED_PREFIX = "modelsat_shared_prefix"

# Model types that tests/unit/modeling compares with a plain pass. Others may cap their logits or
# add sinks or biases, which this function does not implement; they keep the dense mask.
_MODEL_TYPES = frozenset({"bert", "llama", "mistral", "phi3", "qwen2", "qwen3"})


def use_shared_prefix(base: PreTrainedModel) -> None:
    """Switch a base model to shared-prefix attention, if its type is supported."""
    if base.config.model_type in _MODEL_TYPES:
        base.set_attn_implementation(SHARED_PREFIX)


def shares_prefix(base: PreTrainedModel) -> bool:
    """Whether a base model uses shared-prefix attention instead of a dense mask."""
    return bool(base.config._attn_implementation == SHARED_PREFIX)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of S prefix tokens and M capability tokens.

    Args:
        module: the attention layer.
        query: float [B, H, S + M, d].
        key: float [B, key heads, S + M, d].
        value: same shape as ``key``.
        attention_mask: additive mask on the prefix, float [B, 1, S + 1, S]; the last row applies
            to every capability token.
        scaling: factor on dot products.
        dropout: rate on attention weights.

    Returns:
        Float [B, S + M, H, d].
    """
    S = attention_mask.shape[-1]
    groups = getattr(module, "num_key_value_groups", 1)
    if groups > 1:
        key = key.repeat_interleave(groups, dim=1)
        value = value.repeat_interleave(groups, dim=1)
    prefix = functional.scaled_dot_product_attention(
        query[:, :, :S],
        key[:, :, :S],
        value[:, :, :S],
        attn_mask=attention_mask[:, :, :S],
        dropout_p=dropout,
        scale=scaling,
    )
    scaled_query = query[:, :, S:] * scaling
    on_prefix_BHMS = scaled_query @ key[:, :, :S].transpose(-1, -2) + attention_mask[:, :, S:]
    on_itself_BHM1 = (scaled_query * key[:, :, S:]).sum(-1, keepdim=True)
    weights = torch.cat([on_prefix_BHMS, on_itself_BHM1], -1).softmax(-1)
    weights = functional.dropout(weights, dropout)
    capability = weights[..., :S] @ value[:, :, :S] + weights[..., S:] * value[:, :, S:]
    return torch.cat([prefix, capability], dim=2).transpose(1, 2), None


AttentionInterface.register(SHARED_PREFIX, _attend)
