"""Tokenize instructions and the inquiry in the order of a layout."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from modelsat.modeling.config import ModelConfig

# Widths are rounded up to a multiple of this. On CPUs oneDNN caches up to 1,024 compiled kernels,
# one per shape: without rounding, training took 5 GiB (docs/experiments.md).
_WIDTH_STEP = 8


@dataclass(frozen=True)
class InstructionTokens:
    """Tokenized instructions with the inquiry, padded on the right to a multiple of 8.

    Attributes:
        input_ids_BS: int64 [B, S].
        mask_BS: 1 for tokens, 0 for padding, int64 [B, S].
        features: the capability encoder's features of the instructions alone.
    """

    input_ids_BS: Tensor
    mask_BS: Tensor
    features: dict[str, Tensor]

    def to(self, device: torch.device) -> "InstructionTokens":
        """Return a copy on another device."""
        features = {name: value.to(device) for name, value in self.features.items()}
        return InstructionTokens(self.input_ids_BS.to(device), self.mask_BS.to(device), features)


class InstructionTokenizer:
    """Tokenizes instructions in the order of the configured layout."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: SentenceTransformer,
        config: ModelConfig,
    ) -> None:
        """Create it from the base model's tokenizer, the encoder and the configuration."""
        self.tokenizer = tokenizer
        self._encoder = encoder
        self.config = config
        self._leading, self._trailing = _special_tokens(tokenizer)
        self._inquiry = self._plain_ids(config.inquiry)
        pad = tokenizer.pad_token_id
        self._pad = pad if pad is not None else tokenizer.eos_token_id or 0

    @property
    def num_leading(self) -> int:
        """Number of leading special tokens of every sequence."""
        return len(self._leading)

    def __call__(self, instructions: Sequence[str]) -> InstructionTokens:
        """Tokenize instructions, truncated to ``max_instruction_tokens``."""
        rows = [self._sequence(self._plain_ids(text)) for text in instructions]
        width = _rounded_up(max(len(row) for row in rows))
        ids = [row + [self._pad] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        features = self._padded(self.encoder_features(instructions))
        return InstructionTokens(torch.tensor(ids), torch.tensor(mask), features)

    def encoder_features(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return the capability encoder's input features for texts."""
        features = self._encoder.preprocess(list(texts))
        return {name: value for name, value in features.items() if isinstance(value, Tensor)}

    def _padded(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Pad features to a rounded width within the encoder's maximum length."""
        width = features["input_ids"].shape[1]
        rounded = _rounded_up(width)
        padding = min(rounded, self._encoder.max_seq_length or rounded) - width
        pad = {"input_ids": self._encoder.tokenizer.pad_token_id or 0}
        return {
            name: functional.pad(value, (0, padding), value=pad.get(name, 0))
            for name, value in features.items()
        }

    def _plain_ids(self, text: str) -> list[int]:
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return list(ids)

    def _sequence(self, instruction: list[int]) -> list[int]:
        truncated = instruction[: self.config.max_instruction_tokens]
        if self.config.layout == "instruction_first":
            return [*self._leading, *self._inquiry, *truncated, *self._trailing]
        return [*self._leading, *truncated, *self._inquiry, *self._trailing]


def _rounded_up(width: int) -> int:
    return -(-width // _WIDTH_STEP) * _WIDTH_STEP


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    plain = list(tokenizer("yes", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("yes")["input_ids"])
    start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[:start], whole[start + len(plain) :]
