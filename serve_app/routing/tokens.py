"""How many tokens a prompt is, before it is known who reads it. Torch-free.

Tokens are counted with the router's tokenizer, not the candidate's. Measured on a page of
English, Python, compact JSON, LaTeX, German and Chinese against two of Mistral's tokenizers,
the WordPiece tokenizer of the ``lite`` router counted between 5 % too few and 40 % too many; on
digits, base64 and indented JSON up to 45 % too few; on Russian, Arabic and Korean up to three
times too many.
It drops white space and counts a word of unknown signs (Thai, emoji) as one: a floor of one
token for six bytes stands against that. A count is therefore raised by 10 %, and a candidate
that is kept all the same may still refuse the prompt.
"""

import asyncio
from pathlib import Path

from tokenizers import Tokenizer

_MARGIN_FRACTION = 0.1
_BYTES_PER_TOKEN = 6
# What a chat template adds that is not in the request: a default system prompt, the opening
# of the answer. Templates of current models add 5 to 40 tokens.
_TEMPLATE_TOKENS = 64
# About 2 ms of counting, the longest that other requests of a replica may be held up.
_MAX_CHARS_AT_ONCE = 4096
# Longer texts are counted by sample: 32 pieces of 4,096 characters take about 60 ms.
_NUM_PIECES = 32
_PIECE_CHARS = 4096


class TokenCounter:
    """Counts tokens by a tokenizer, or by bytes alone where there is none."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        """Take a tokenizer; what it cuts or pads to is switched off."""
        self._tokenizer = tokenizer
        if tokenizer is not None:
            tokenizer.no_truncation()
            tokenizer.no_padding()

    @classmethod
    def of_router(cls, directory: str | Path) -> "TokenCounter":
        """The counter of a router directory; without its tokenizer, one that counts bytes."""
        path = Path(directory) / "base" / "tokenizer.json"
        return cls(Tokenizer.from_file(str(path)) if path.is_file() else None)

    def at_most(self, text: str) -> int:
        """Tokens that a prompt surely does not exceed: no token is less than a byte."""
        return _num_bytes(text) + _TEMPLATE_TOKENS

    async def estimate(self, text: str) -> int:
        """Tokens of a prompt, margin included; long texts are counted in a thread."""
        if self._tokenizer is None or len(text) <= _MAX_CHARS_AT_ONCE:
            return self._estimate(text)
        return await asyncio.to_thread(self._estimate, text)

    def _estimate(self, text: str) -> int:
        num_bytes = _num_bytes(text)
        counted = max(self._count(text), num_bytes / _BYTES_PER_TOKEN)
        with_margin = int((1 + _MARGIN_FRACTION) * counted) + _TEMPLATE_TOKENS
        return min(with_margin, num_bytes + _TEMPLATE_TOKENS)

    def _count(self, text: str) -> float:
        if self._tokenizer is None:
            return 0
        if len(text) <= _NUM_PIECES * _PIECE_CHARS:
            return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        step = (len(text) - _PIECE_CHARS) / (_NUM_PIECES - 1)
        starts = [int(piece * step) for piece in range(_NUM_PIECES)]
        pieces = [text[start : start + _PIECE_CHARS] for start in starts]
        sampled = sum(
            len(self._tokenizer.encode(piece, add_special_tokens=False).ids) for piece in pieces
        )
        return sampled * len(text) / (_NUM_PIECES * _PIECE_CHARS)


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
