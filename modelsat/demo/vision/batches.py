"""The vision candidate's examples as padded batches of token ids and pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from modelsat.demo.pictures.drawing import PICTURE_SIZE, draw_picture
from modelsat.demo.pictures.scenes import COLOURS, SHAPES, Scene
from modelsat.demo.tokenizer import END, render_chat
from modelsat.demo.vision.examples import VisionExample, draw_vision_examples
from modelsat.demo.vision.network import NUM_PATCHES, PIXEL_DEVIATION, PIXEL_MEAN
from modelsat.demo.vision.specs import VisionSpec
from modelsat.demo.vision.tokenizer import picture_wording_words, render_picture_chat
from modelsat.demo.zoo_batches import ExampleBatch, Padder

_SORTED_BATCHES = 8  # batches whose examples are sorted by length together, to pad less


@dataclass(frozen=True)
class VisionBatch:
    """One training step's examples; S = pictures, at most one per example.

    Attributes:
        texts: token ids and targets of all examples.
        pixels_SCHW: the pictures of the examples that have one, in their order.
        scenes: what these pictures show.
    """

    texts: ExampleBatch
    pixels_SCHW: torch.Tensor
    scenes: tuple[Scene, ...]


def to_pixels(scenes: Sequence[Scene]) -> torch.Tensor:
    """Return pictures as the processor would hand them to the tower, [S, 3, H, W], float32."""
    if not scenes:
        return torch.empty(0, 3, PICTURE_SIZE, PICTURE_SIZE)
    pixels_SHWC = torch.from_numpy(np.stack([np.asarray(draw_picture(it)) for it in scenes]))
    return (pixels_SHWC.permute(0, 3, 1, 2).float() / 255 - PIXEL_MEAN) / PIXEL_DEVIATION


def make_vision_batches(
    spec: VisionSpec, tokenizer: PreTrainedTokenizerBase, seed: int
) -> Iterator[VisionBatch]:
    """Yield the batches of a candidate's training, ``spec.steps`` of them."""
    rng = Random(f"{spec.name}|{seed}")
    plain = sorted(set(picture_wording_words()) - {*SHAPES, *COLOURS})
    padder = Padder(tokenizer, plain, np.random.default_rng(seed))
    for first in range(0, spec.steps, _SORTED_BATCHES):
        num_batches = min(_SORTED_BATCHES, spec.steps - first)
        examples = draw_vision_examples(num_batches * spec.batch_size, rng)
        rows = tokenizer([_render(it) for it in examples], add_special_tokens=False)["input_ids"]
        pairs = sorted(zip(rows, examples, strict=True), key=lambda pair: len(pair[0]))
        starts = list(range(0, len(pairs), spec.batch_size))
        rng.shuffle(starts)
        for start in starts:
            chunk = pairs[start : start + spec.batch_size]
            scenes = tuple(it.scene for _, it in chunk if it.scene is not None)
            yield VisionBatch(padder.pad([row for row, _ in chunk]), to_pixels(scenes), scenes)


def _render(example: VisionExample) -> str:
    if example.scene is None:
        return render_chat(example.prompt) + example.answer + END
    return render_picture_chat(example.prompt, NUM_PATCHES) + example.answer + END
