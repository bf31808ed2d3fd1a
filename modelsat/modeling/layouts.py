"""The two orders of a capability instruction z, as inputs of the base model.

Shapes: B instructions, M candidates, S tokens of an instruction with inquiry, D base width.

``capability_first`` costs B x M sequences. ``instruction_first`` appends the M capability
tokens to one prefix; each sees the prefix and itself, all stand at the same position, and the
prefix sees none of them, so one pass equals M separate passes to rounding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BaseInputs:
    """What the base model reads, and where its answer stands.

    Attributes:
        inputs_embeds: float [N, L, D].
        attention_mask: int64 [N, L], or additive float [N, 1, L, L].
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
        num_leading: opening special tokens that stay in front of the capability token.
    """
    B, S, D = embeds_BSD.shape
    M = capability_BMD.shape[1]
    text_BMSD = embeds_BSD[:, None].expand(B, M, S, D)
    token_BM1D = capability_BMD[:, :, None].to(embeds_BSD.dtype)
    joined = torch.cat(
        [text_BMSD[:, :, :num_leading], token_BM1D, text_BMSD[:, :, num_leading:]], 2
    )
    length_B = mask_BS.sum(1) + 1
    positions = torch.arange(S + 1, device=embeds_BSD.device)
    mask_BL = (positions[None] < length_B[:, None]).long()
    sequence_BM = torch.arange(B * M, device=embeds_BSD.device).view(B, M)
    return BaseInputs(
        inputs_embeds=joined.reshape(B * M, S + 1, D),
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
) -> BaseInputs:
    """z = [p, x, c]: all capability tokens share the prefix of their instruction.

    Args:
        embeds_BSD: embedded inquiry and instruction, padded on the right.
        mask_BS: 1 for tokens, 0 for padding, int64.
        capability_BMD: capability tokens.
        is_causal: whether the base model's tokens see only what precedes them.
        sliding_window: keys a query sees at most, itself included; None for all. A custom mask
            replaces the model's own window, so it is repeated here.
    """
    B, S = mask_BS.shape
    M = capability_BMD.shape[1]
    length_B = mask_BS.sum(1)
    prefix_positions_S = torch.arange(S, device=embeds_BSD.device)
    position_ids_BL = torch.cat(
        [prefix_positions_S[None].expand(B, S), length_B[:, None].expand(B, M)], 1
    )
    is_token_BL = torch.cat([mask_BS.bool(), mask_BS.new_zeros(B, M).bool()], 1)
    distance_BLL = position_ids_BL[:, :, None] - position_ids_BL[:, None, :]
    sees_BLL = is_token_BL[:, None, :].expand(B, S + M, S + M)
    if is_causal:
        sees_BLL = sees_BLL & (distance_BLL >= 0)
    if sliding_window is not None:
        sees_BLL = sees_BLL & (distance_BLL.abs() < sliding_window)
    # Every token sees itself: a padding row without any key would turn into NaN.
    sees_BLL = sees_BLL | torch.eye(S + M, dtype=torch.bool, device=embeds_BSD.device)
    smallest = torch.finfo(embeds_BSD.dtype).min
    additive_BLL = torch.zeros_like(sees_BLL, dtype=embeds_BSD.dtype)
    additive_BLL = additive_BLL.masked_fill(~sees_BLL, smallest)
    readout_M = torch.arange(S, S + M, device=embeds_BSD.device)
    sequence_B = torch.arange(B, device=embeds_BSD.device)
    return BaseInputs(
        inputs_embeds=torch.cat([embeds_BSD, capability_BMD.to(embeds_BSD.dtype)], 1),
        attention_mask=additive_BLL[:, None],
        position_ids=position_ids_BL,
        readout_index=torch.stack(
            [sequence_B[:, None].expand(B, M), readout_M[None].expand(B, M)], -1
        ),
    )
