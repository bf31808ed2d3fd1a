"""The demo candidates' network: a two-layer Llama, and a forward pass that looks at answers only.

Shape letters: B = examples, L = tokens, T = answer tokens, H = heads, D = head size, V = vocabulary.
"""

import torch
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, apply_rotary_pos_emb

from modelsat.demo.tokenizer import MAX_TOKENS

# vLLM's CPU kernels take head sizes that are multiples of 32; 64 was tried.
HEAD_SIZE = 64
import os

LOOK = []
THETA = float(os.environ.get('THETA','10000'))
OFFS = [float(x) for x in os.environ.get('OFFS','').split(',') if x]
TIE=int(os.environ.get('TIE','0')); GAIN=float(os.environ.get('GAIN','2'))
SCALE=float(os.environ.get('SCALE','4'))
HEADS = int(os.environ.get('HEADS','2'))


def build_network(
    tokenizer: PreTrainedTokenizerBase, *, num_layers: int, width: int, seed: int
) -> LlamaForCausalLM:
    """A freshly initialised Llama that fits the tokenizer."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=num_layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD_SIZE,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        attention_bias=True,
        rope_parameters={'rope_type': 'default', 'rope_theta': THETA},
        initializer_range=0.05,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    network = LlamaForCausalLM(config)
    attention = network.model.layers[0].self_attn
    half = HEAD_SIZE // 2
    freq = network.model.rotary_emb.inv_freq
    sharp = (freq > 0.15).float()
    with torch.no_grad():
        for head, offset in enumerate(OFFS):
            first = slice(head * HEAD_SIZE, head * HEAD_SIZE + half)
            second = slice(head * HEAD_SIZE + half, (head + 1) * HEAD_SIZE)
            amp = sharp * (SCALE * 8 / sharp.sum()) ** 0.5
            attention.k_proj.bias[first] = amp
            attention.q_proj.bias[first] = amp * torch.cos(offset * freq)
            attention.q_proj.bias[second] = -amp * torch.sin(offset * freq)
        last = network.model.layers[-1].self_attn
        for t in range(TIE):
            rows = slice(t * HEAD_SIZE, (t + 1) * HEAD_SIZE)
            last.q_proj.weight[rows] *= GAIN
            last.k_proj.weight[rows] = last.q_proj.weight[rows]
    return network


def answer_logits(
    network: LlamaForCausalLM, ids_BL: torch.Tensor, places_BT: torch.Tensor
) -> torch.Tensor:
    """Logits at chosen places; the last layer is computed there only.

    Args:
        network: the model.
        ids_BL: token ids, int64, padded on the right: causal attention never looks there.
        places_BT: positions whose next token is wanted, int64.

    Returns:
        Logits, float32, shape [B, T, V], equal to the plain forward pass at these places.
    """
    body = network.model
    hidden = body.embed_tokens(ids_BL)
    positions_BL = torch.arange(ids_BL.shape[1]).expand_as(ids_BL)
    rotary = body.rotary_emb(hidden, positions_BL)
    for layer in body.layers[:-1]:
        hidden = _layer(layer, hidden, rotary, positions_BL)
    hidden = _layer(body.layers[-1], hidden, rotary, places_BT)
    return network.lm_head(body.norm(hidden)).float()


def _layer(
    layer: LlamaDecoderLayer,
    hidden_BLE: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    places_BT: torch.Tensor,
) -> torch.Tensor:
    """One decoder layer, its output at the given places only: shape [B, T, E]."""
    attention = layer.self_attn
    length = hidden_BLE.shape[1]
    whole = places_BT.shape[1] == length
    normed = layer.input_layernorm(hidden_BLE)
    key, value = (_heads(p(normed)) for p in (attention.k_proj, attention.v_proj))
    query = _heads(attention.q_proj(normed if whole else _at(normed, places_BT)))
    cos, sin = rotary
    _, key = apply_rotary_pos_emb(key, key, cos, sin)
    query, _ = apply_rotary_pos_emb(
        query, query, *((cos, sin) if whole else (_at(cos, places_BT), _at(sin, places_BT)))
    )
    if whole:
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    else:
        visible_B1TL = (torch.arange(length) <= places_BT[..., None])[:, None]
        scores = query @ key.transpose(2, 3) / HEAD_SIZE**0.5
        scores = scores.masked_fill(~visible_B1TL, -1e30)
        LOOK.append(scores[:, 0, 0])
        mixed = scores.softmax(-1) @ value
    residual = hidden_BLE if whole else _at(hidden_BLE, places_BT)
    output = residual + attention.o_proj(mixed.transpose(1, 2).flatten(2))
    result: torch.Tensor = output + layer.mlp(layer.post_attention_layernorm(output))
    return result


def _heads(x_BLE: torch.Tensor) -> torch.Tensor:
    """Split the width into heads: [B, H, L, D]."""
    return x_BLE.unflatten(-1, (-1, HEAD_SIZE)).transpose(1, 2)


def _at(x_BLE: torch.Tensor, places_BT: torch.Tensor) -> torch.Tensor:
    return x_BLE.gather(1, places_BT[..., None].expand(-1, -1, x_BLE.shape[-1]))
