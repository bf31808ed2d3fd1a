"""Scores of texts seen before."""

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

# What an entry takes beside its scores: an array's header, a key, a place in the table. Measured
# as 300 to 400 bytes on CPython 3.11.
_OVERHEAD_CELLS = 100


class ScoreCache:
    """Scores by hash of the text, at one version of the zoo; the longest unused go first.

    Args:
        max_cells: bound of what is remembered, in cells of 4 bytes: one for each score, and
            100 for each text.
    """

    def __init__(self, max_cells: int) -> None:
        self._max_cells = max_cells
        self._num_cells = 0
        self._version = 0
        self._scores: OrderedDict[bytes, npt.NDArray[np.float32]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, digest: bytes, version: int) -> npt.NDArray[np.float32] | None:
        """Scores of a text at a version of the zoo, float32 [M] in its order of candidates."""
        if version != self._version:
            return None
        scores = self._scores.get(digest)
        if scores is not None:
            self._scores.move_to_end(digest)
        return scores

    def put(self, digest: bytes, version: int, scores: npt.NDArray[np.float32]) -> None:
        """Remember scores; those of older versions are forgotten."""
        if version < self._version:
            return
        if version > self._version:
            self._scores.clear()
            self._num_cells, self._version = 0, version
        if digest not in self._scores:
            self._num_cells += len(scores) + _OVERHEAD_CELLS
        self._scores[digest] = scores
        self._scores.move_to_end(digest)
        while self._num_cells > self._max_cells:
            _, oldest = self._scores.popitem(last=False)
            self._num_cells -= len(oldest) + _OVERHEAD_CELLS
