"""Aligning the tower with the words: each patch is taught to name what its cell shows.

LLaVA aligns a trained tower on captions before it learns from questions. Here the tower starts
from random weights, and the scene of a drawn picture gives a label for every patch: 16 labels for
each picture, where a question gives one. Without them 500 steps did not teach the shapes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerBase

from modelsat.demo.pictures.drawing import bar_top
from modelsat.demo.pictures.scenes import COLOURS, GRID, MAX_HEIGHT, SHAPES, Scene
from modelsat.demo.vision.network import NUM_PATCHES, PATCH_SIZE
from modelsat.demo.vision.tokenizer import IMAGE

_NOTHING = IMAGE  # the label of an empty cell: its word vector has no other use
_HEIGHTS = tuple(str(height) for height in range(1, MAX_HEIGHT + 1))
_KINDS = (_NOTHING, *SHAPES, *_HEIGHTS, "bar")  # "bar": a cell below a bar's top
_HUES = (_NOTHING, *COLOURS)


class Alignment:
    """The loss of features that do not name what their cells show.

    Args:
        tokenizer: the candidate's tokenizer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        def ids(words: Sequence[str]) -> list[int]:
            tokens = [word if word == IMAGE else f"\u2581{word}" for word in words]
            found: list[int] = tokenizer.convert_tokens_to_ids(tokens)
            return found

        self._kind_ids, self._hue_ids = torch.tensor(ids(_KINDS)), torch.tensor(ids(_HUES))

    def loss(
        self, network: LlavaForConditionalGeneration, features_SPE: Tensor, scenes: Sequence[Scene]
    ) -> Tensor:
        """Return the cross-entropy of shape or height plus that of colour, in nats per patch.

        Args:
            network: gives the vectors of the words, against which features are compared.
            features_SPE: outputs of the projector; S = pictures, P = patches, E = width.
            scenes: what the pictures show.
        """
        labels_SP2 = torch.tensor([cell_labels(scene) for scene in scenes])
        words_VE = network.get_input_embeddings().weight
        total = features_SPE.new_zeros(())
        for place, ids in enumerate((self._kind_ids, self._hue_ids)):
            logits = features_SPE @ words_VE[ids].T
            labels = labels_SP2[..., place]
            total = total + functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return total


def cell_labels(scene: Scene) -> list[tuple[int, int]]:
    """Return the labels of each cell, row by row: places in the lists of kinds and of colours."""
    labels = [(0, 0)] * NUM_PATCHES
    for figure in scene.figures:
        place = figure.row * GRID + figure.column
        labels[place] = (_KINDS.index(figure.shape), _HUES.index(figure.colour))
    for column, bar in enumerate(scene.bars):
        first_row = bar_top(bar) // PATCH_SIZE
        for row in range(first_row, GRID):
            kind = str(bar.height) if row == first_row else "bar"
            labels[row * GRID + column] = (_KINDS.index(kind), _HUES.index(bar.colour))
    return labels
