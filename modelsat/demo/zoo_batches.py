"""A demo candidate's examples as padded batches of token ids."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from modelsat.demo.tokenizer import ASSISTANT, END, render_chat, wording_words
from modelsat.demo.zoo_examples import draw_examples
from modelsat.demo.zoo_specs import CandidateSpec

# Share of a sentence's plain words that are replaced by another at random, so that wordings never
# seen are understood by their key words.
NOISE_SHARE = 0.1
_SORTED_BATCHES = 16  # batches whose examples are sorted by length together, to pad less


@dataclass(frozen=True)
class ExampleBatch:
    """One training step's examples; B = examples, L = tokens, T = answer tokens.

    Attributes:
        ids_BL: token ids, int64, padded on the right.
        places_BT: positions before each answer token, int64.
        targets_BT: answer tokens, the closing token included, int64; -100 where there is none.
    """

    ids_BL: torch.Tensor
    places_BT: torch.Tensor
    targets_BT: torch.Tensor


def make_batches(
    spec: CandidateSpec, tokenizer: PreTrainedTokenizerBase, seed: int
) -> Iterator[ExampleBatch]:
    """All batches of a candidate's training, ``spec.steps`` of them."""
    examples = draw_examples(spec, spec.steps * spec.batch_size, seed)
    texts = [render_chat(prompt) + answer + END for prompt, answer in examples]
    rows = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    padder = Padder(tokenizer, wording_words(), np.random.default_rng(seed))
    span = spec.batch_size * _SORTED_BATCHES
    for start in range(0, len(rows), span):
        chunk = sorted(rows[start : start + span], key=len)
        starts = list(range(0, len(chunk), spec.batch_size))
        padder.rng.shuffle(starts)
        for first in starts:
            yield padder.pad(chunk[first : first + spec.batch_size])


class Padder:
    """Pads examples of different lengths, and replaces some plain words of their questions.

    Args:
        tokenizer: the candidate's tokenizer.
        words: plain words of the questions, which may replace one another.
        rng: chooses what is replaced.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        words: Iterable[str],
        rng: np.random.Generator,
    ) -> None:
        self.rng = rng
        self._pad = tokenizer.pad_token_id
        self._mark = tokenizer.convert_tokens_to_ids(ASSISTANT)
        ids = tokenizer.convert_tokens_to_ids([f"\u2581{word}" for word in words])
        self._noise = np.array([i for i in ids if i != tokenizer.unk_token_id])

    def pad(self, rows: list[list[int]]) -> ExampleBatch:
        """Return rows of token ids, each a question and its answer, as one batch."""
        marks = [row.index(self._mark) for row in rows]
        num_answer = max(len(row) - place - 1 for row, place in zip(rows, marks, strict=True))
        ids = np.full((len(rows), max(map(len, rows))), self._pad)
        places = np.zeros((len(rows), num_answer), dtype=np.int64)
        targets = np.full((len(rows), num_answer), -100)
        for i, (row, place) in enumerate(zip(rows, marks, strict=True)):
            answer = row[place + 1 :]
            ids[i, : len(row)] = row
            places[i, : len(answer)] = range(place, place + len(answer))
            targets[i, : len(answer)] = answer
        questions = np.arange(ids.shape[1]) < np.array(marks)[:, None]
        replaced = questions & np.isin(ids, self._noise)
        replaced &= self.rng.random(ids.shape) < NOISE_SHARE
        ids = np.where(replaced, self.rng.choice(self._noise, ids.shape), ids)
        return ExampleBatch(*(torch.from_numpy(array) for array in (ids, places, targets)))
