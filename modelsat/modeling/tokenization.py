"""Instructions and the inquiry as token ids, in the order of a layout."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from modelsat.modeling.config import ModelConfig

# Widths are rounded up to a multiple of this. On CPUs oneDNN keeps up to 1,024 compiled products,
# each for one size: with widths of all sizes a training took 5 GiB (docs/experiments.md).
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
        """The same tokens on another device."""
        features = {name: value.to(device) for name, value in self.features.items()}
        return InstructionTokens(self.input_ids_BS.to(device), self.mask_BS.to(device), features)


class InstructionTokenizer:
    """Turns instructions into the token order that the layout wants."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: SentenceTransformer,
        config: ModelConfig,
    ) -> None:
        """Take the base model's tokenizer, the encoder and the router's configuration."""
        self.tokenizer = tokenizer
        self._encoder = encoder
        self.config = config
        self._leading, self._trailing = _special_tokens(tokenizer)
        self._inquiry = self._plain_ids(config.inquiry)
        pad = tokenizer.pad_token_id
        self._pad = pad if pad is not None else tokenizer.eos_token_id or 0

    @property
    def num_leading(self) -> int:
        """Opening special tokens of every sequence."""
        return len(self._leading)

    def __call__(self, instructions: Sequence[str]) -> InstructionTokens:
        """Tokenize instructions; each keeps its first ``max_instruction_tokens`` tokens."""
        rows = [self._arrange(self._plain_ids(text)) for text in instructions]
        width = _rounded_up(max(len(row) for row in rows))
        ids = [row + [self._pad] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        features = self._widened(self.encoder_features(instructions))
        return InstructionTokens(torch.tensor(ids), torch.tensor(mask), features)

    def encoder_features(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Texts as the capability encoder's input features."""
        features = self._encoder.preprocess(list(texts))
        return {name: value for name, value in features.items() if isinstance(value, Tensor)}

    def _widened(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Features at a rounded width, but no wider than the encoder can read."""
        width = features["input_ids"].shape[1]
        rounded = _rounded_up(width)
        more = min(rounded, self._encoder.max_seq_length or rounded) - width
        pad = {"input_ids": self._encoder.tokenizer.pad_token_id or 0}
        return {
            name: functional.pad(value, (0, more), value=pad.get(name, 0))
            for name, value in features.items()
        }

    def _plain_ids(self, text: str) -> list[int]:
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return list(ids)

    def _arrange(self, instruction: list[int]) -> list[int]:
        kept = instruction[: self.config.max_instruction_tokens]
        if self.config.layout == "instruction_first":
            return [*self._leading, *self._inquiry, *kept, *self._trailing]
        return [*self._leading, *kept, *self._inquiry, *self._trailing]


def _rounded_up(width: int) -> int:
    return -(-width // _WIDTH_STEP) * _WIDTH_STEP


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    plain = list(tokenizer("yes", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("yes")["input_ids"])
    start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[:start], whole[start + len(plain) :]
