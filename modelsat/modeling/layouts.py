"""The two layouts of a capability instruction z, as inputs of the base model.

Shapes: B instructions, M candidates, S tokens of an instruction with inquiry, D base width.

``capability_first`` costs B x M sequences. ``instruction_first`` appends the M capability
tokens to a shared prefix. Each capability token attends to the prefix and itself, all have the
same position, and the prefix attends to none of them, so a single pass equals M separate passes
up to rounding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BaseInputs:
    """Inputs of the base model and the positions of its answers.

    Attributes:
        inputs_embeds: float [N, L, D].
        attention_mask: int64 [N, L], or additive float [N, 1, L, L], or the mask of
            :mod:`modelsat.modeling.shared_prefix`.
        position_ids: int64 [N, L].
        readout_index: int64 [B, M, 2]: sequence and position of each (instruction, candidate).
    """

    inputs_embeds: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    readout_index: Tensor


def capability_first(
    embeds_BSD: Tensor, mask_BS: Tensor, capability_BMD: Tensor, num_leading: int
) -> BaseInputs:
    """z = [c, x, p]: the capability token follows the tokenizer's opening tokens.

    Args:
        embeds_BSD: embedded instruction and inquiry, padded on the right.
        mask_BS: 1 for tokens, 0 for padding, int64.
        capability_BMD: capability tokens.
        num_leading: leading special tokens, which stay before the capability token.
    """
    B, S, D = embeds_BSD.shape
    M = capability_BMD.shape[1]
    text_BMSD = embeds_BSD[:, None].expand(B, M, S, D)
    token_BM1D = capability_BMD[:, :, None].to(embeds_BSD.dtype)
    embeds_BMLD = torch.cat(
        [text_BMSD[:, :, :num_leading], token_BM1D, text_BMSD[:, :, num_leading:]], 2
    )
    length_B = mask_BS.sum(1) + 1
    positions = torch.arange(S + 1, device=embeds_BSD.device)
    mask_BL = (positions[None] < length_B[:, None]).long()
    sequence_BM = torch.arange(B * M, device=embeds_BSD.device).view(B, M)
    return BaseInputs(
        inputs_embeds=embeds_BMLD.reshape(B * M, S + 1, D),
        attention_mask=mask_BL[:, None].expand(B, M, S + 1).reshape(B * M, S + 1),
        position_ids=positions[None].expand(B * M, S + 1),
        readout_index=torch.stack([sequence_BM, (length_B - 1)[:, None].expand(B, M)], -1),
    )


def instruction_first(
    embeds_BSD: Tensor,
    mask_BS: Tensor,
    capability_BMD: Tensor,
    *,
    is_causal: bool,
    sliding_window: int | None,
    shares_prefix: bool = False,
) -> BaseInputs:
    """z = [p, x, c]: all capability tokens share the prefix of their instruction.

    Args:
        embeds_BSD: embedded inquiry and instruction, padded on the right.
        mask_BS: 1 for tokens, 0 for padding, int64.
        capability_BMD: capability tokens.
        is_causal: whether the base model's attention is causal.
        sliding_window: largest number of keys per query, itself included; None for all. A custom
            mask replaces the model's own window, so it is applied here.
        shares_prefix: whether the base model uses the attention of
            :mod:`modelsat.modeling.shared_prefix`, whose mask has a column for each token of the
            prefix, a row for each, and a row for all capability tokens.
    """
    B, S = mask_BS.shape
    M = capability_BMD.shape[1]
    length_B1 = mask_BS.sum(1, keepdim=True)
    positions_BS = torch.arange(S, device=embeds_BSD.device)[None].expand(B, S)
    query_BQ = torch.cat([positions_BS, length_B1], 1)  # Q = S + 1
    distance_BQS = query_BQ[:, :, None] - positions_BS[:, None, :]
    sees_BQS = mask_BS.bool()[:, None, :].expand(B, S + 1, S)
    if is_causal:
        sees_BQS = sees_BQS & (distance_BQS >= 0)
    if sliding_window is not None:
        sees_BQS = sees_BQS & (distance_BQS.abs() < sliding_window)
    # Every token of the prefix sees itself: a padding row without keys would become NaN.
    sees_BQS = sees_BQS | torch.eye(S + 1, S, dtype=torch.bool, device=embeds_BSD.device)
    if not shares_prefix:
        sees_BQS = _dense(sees_BQS, M)
    dtype = _attention_dtype(embeds_BSD)
    additive_BQS = torch.zeros_like(sees_BQS, dtype=dtype)
    additive_BQS.masked_fill_(~sees_BQS, torch.finfo(dtype).min)
    readout_M = torch.arange(S, S + M, device=embeds_BSD.device)
    sequence_B = torch.arange(B, device=embeds_BSD.device)
    return BaseInputs(
        inputs_embeds=torch.cat([embeds_BSD, capability_BMD.to(embeds_BSD.dtype)], 1),
        attention_mask=additive_BQS[:, None],
        position_ids=torch.cat([positions_BS, length_B1.expand(B, M)], 1),
        readout_index=torch.stack(
            [sequence_B[:, None].expand(B, M), readout_M[None].expand(B, M)], -1
        ),
    )


def _attention_dtype(embeds_BSD: Tensor) -> torch.dtype:
    """Return the dtype of attention weights; a mask of a wider dtype would upcast them."""
    device = embeds_BSD.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return embeds_BSD.dtype


def _dense(sees_BQS: Tensor, num_candidates: int) -> Tensor:
    """Expand to a mask over all S + M tokens, bool [B, S + M, S + M]."""
    B, _, S = sees_BQS.shape
    M = num_candidates
    prefix_BLS = torch.cat([sees_BQS[:, :S], sees_BQS[:, S:].expand(B, M, S)], 1)
    itself_LM = torch.eye(S + M, dtype=torch.bool, device=sees_BQS.device)[:, S:]
    return torch.cat([prefix_BLS, itself_LM[None].expand(B, S + M, M)], 2)
