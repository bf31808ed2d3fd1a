"""Batches: instructions with the outcomes of real and composite candidates.

A run may train on several sources of outcomes, each with the cards of its own aptitude test; all
instructions of a batch come from the same source. A source is read in pieces, in a random order;
only a piece and a window (the instructions of some steps) are in memory at a time.

Shapes: B instructions, M real candidates, C composites, T statements.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelsat.modeling.card_features import card_features
from modelsat.outcomes.matrix import Floats, Ints, OutcomeMatrix, OutcomeSource, concatenate
from modelsat.training.composites import CompositeMaker
from modelsat.training.config import count_steps
from modelsat.training.losses import TermWeights, term_weights

# Steps whose instructions are sorted by length together: this reduces padding to a few percent,
# and batches still differ between epochs.
_STEPS_PER_WINDOW = 16


@dataclass(frozen=True)
class Batch:
    """The input of a worker's forward pass: its part of a step.

    Attributes:
        source: index of the source of outcomes.
        number: index among all passes of the epoch, over all workers.
        instructions: B prompts.
        weights: evidence of each card for each statement, float32 [M + C, T].
        correct: outcomes, NaN where missing, float32 [B, M + C].
        statement: index of each instruction's statement, -1 if it has none, int64 [B].
        terms: weights of its loss terms among the passes of the step.
    """

    source: int
    number: int
    instructions: tuple[str, ...]
    weights: Floats
    correct: Floats
    statement: Ints
    terms: TermWeights


class BatchSampler:
    """Draws seeded batches of the training instructions, independent of the engine.

    A step's instructions, composites and loss depend on its total number of instructions, not on
    how many workers and passes share them. The exception are the groups of the in-batch term:
    their members come from a single pass, so they also depend on its size.

    Args:
        sources: training outcomes, at least one source.
        batch_size: instructions per pass.
        composites: composite candidates per step.
        max_steps: steps after which an epoch ends; None: after every instruction.
        seed: seeds order and composites.
        rank: rank of this worker.
        num_workers: number of workers.
        accumulation: passes of each worker per step; a step uses ``batch_size * accumulation *
            num_workers`` instructions.
    """

    def __init__(
        self,
        sources: Sequence[OutcomeSource],
        *,
        batch_size: int,
        composites: int,
        seed: int,
        max_steps: int | None = None,
        rank: int = 0,
        num_workers: int = 1,
        accumulation: int = 1,
    ) -> None:
        """Prepare the cards and composites of every source."""
        self.sources = tuple(sources)
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.seed = seed
        self.rank = rank
        self.accumulation = accumulation
        self.passes_per_step = num_workers * accumulation
        self._weights = [card_features(source.cards).weights_MT for source in sources]
        self._makers = [CompositeMaker(source.cards, composites) for source in sources]

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps that use every instruction once, but at most ``max_steps``.

        The last incomplete step of each source is dropped; a source smaller than a step repeats
        its instructions.
        """
        return count_steps([len(source) for source in self.sources], self._stride, self.max_steps)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield this worker's batches of an epoch, in order: ``accumulation`` per step."""
        source_of_steps = np.repeat(
            np.arange(len(self.sources)),
            [count_steps([len(source)], self._stride) for source in self.sources],
        )
        order = np.random.default_rng((self.seed, epoch)).permutation(source_of_steps)
        steps = [self._steps(source, epoch) for source in range(len(self.sources))]
        for step, source in enumerate(order[: self.steps_per_epoch].tolist()):
            rng = np.random.default_rng((self.seed, epoch, step))
            yield from self._passes(step, source, next(steps[source]), rng)

    @property
    def _stride(self) -> int:
        """Number of instructions per step."""
        return self.batch_size * self.passes_per_step

    def _steps(self, source: int, epoch: int) -> Iterator[OutcomeMatrix]:
        """Yield the rows of each step of a source; instructions of a step have similar lengths."""
        seed = (self.seed, epoch, source)
        rng = np.random.default_rng((*seed, 1))
        pieces = self._pieces(self.sources[source], seed)
        for window in windows(pieces, _STEPS_PER_WINDOW * self._stride):
            num_steps = len(window) // self._stride
            lengths = [len(text) for text in window.instructions[: num_steps * self._stride]]
            rows = np.argsort(lengths, kind="stable").reshape(num_steps, self._stride)
            for step in rng.permutation(num_steps):
                yield window.rows(rows[step].tolist())

    def _pieces(self, source: OutcomeSource, seed: Sequence[int]) -> Iterator[OutcomeMatrix]:
        """Yield a source's pieces, repeated until there are enough for a step."""
        yield from source.pieces(seed)
        for _ in range(len(source), self._stride, len(source)):
            yield from source.pieces(seed)

    def _passes(
        self, step: int, source: int, rows: OutcomeMatrix, rng: np.random.Generator
    ) -> Iterator[Batch]:
        """Yield this worker's passes of a step over rows of a source."""
        maker = self._makers[source]
        statement_G = maker.statements(rows.tasks)
        weights_CT, composed_GC = maker.draw(statement_G, rows.correct_QM, rng)
        weights_MT = np.concatenate([self._weights[source], weights_CT])
        correct_GM = np.concatenate([rows.correct_QM, composed_GC], axis=1)
        # Passes take every n-th row, so all passes have instructions of similar lengths.
        parts = [slice(first, None, self.passes_per_step) for first in range(self.passes_per_step)]
        correct = [correct_GM[part] for part in parts]
        statement = [statement_G[part] for part in parts]
        first = self.rank * self.accumulation
        for index in range(first, first + self.accumulation):
            yield Batch(
                source=source,
                number=step * self.passes_per_step + index,
                instructions=rows.instructions[parts[index]],
                weights=weights_MT,
                correct=correct[index],
                statement=statement[index],
                terms=term_weights(correct, statement, index),
            )


def windows(pieces: Iterable[OutcomeMatrix], size: int) -> Iterator[OutcomeMatrix]:
    """Regroup pieces into windows of ``size`` instructions; the last may be shorter."""
    buffer: list[OutcomeMatrix] = []
    num_buffered = 0
    for piece in pieces:
        start = 0
        while start < len(piece):
            stop = min(len(piece), start + size - num_buffered)
            buffer.append(piece.rows(range(start, stop)))
            num_buffered += stop - start
            start = stop
            if num_buffered == size:
                yield concatenate(buffer)
                buffer, num_buffered = [], 0
    if buffer:
        yield concatenate(buffer)
