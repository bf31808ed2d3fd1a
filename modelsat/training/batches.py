"""Batches: some instructions, the real candidates, and composite candidates.

A run may learn from several sources of outcomes, each with the cards of its own aptitude test; the
instructions of one batch come from one of them. A source is read in pieces, in an order of its
own; what is held of it at a time are a piece and one window, the instructions of some steps.

Shapes: B instructions, M real candidates, C composites, T statements.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelsat.modeling.card_features import card_features
from modelsat.outcomes.matrix import Floats, Ints, OutcomeMatrix, OutcomeSource, concatenate
from modelsat.training.composites import CompositeMaker
from modelsat.training.losses import TermWeights, candidate_weights, term_weights

# Steps whose instructions are sorted by length together: padding falls to a few percent while the
# batches still differ from epoch to epoch.
_STEPS_PER_WINDOW = 16


@dataclass(frozen=True)
class Batch:
    """One pass of one worker: its part of a step.

    Attributes:
        source: which source of outcomes it comes from.
        number: place among all passes of the epoch, those of the other workers included.
        instructions: B prompts.
        weights: evidence of each card for each statement, float32 [M + C, T].
        correct: outcomes, NaN where there is none, float32 [B, M + C].
        statement: place of each instruction's own statement, -1 where it has none, int64 [B].
        terms: how much its loss terms count among the passes of the step.
    """

    source: int
    number: int
    instructions: tuple[str, ...]
    weights: Floats
    correct: Floats
    statement: Ints
    terms: TermWeights


class BatchSampler:
    """Seeded batches over the training instructions, the same whatever runs them.

    A step's instructions, composites and loss depend on how many instructions it takes, not on how
    many workers and passes share them; only the groups of the in-batch term, whose members stand
    in one pass, depend on the size of a pass too.

    Args:
        sources: training outcomes, at least one source.
        batch_size: instructions of one pass.
        composites: composite candidates per step.
        max_steps: steps after which an epoch ends; None: when every instruction was seen.
        strength_exponent: how much more stronger candidates count; see :class:`LossConfig`.
        seed: seeds order and composites.
        rank: which worker's share to draw.
        num_workers: number of workers.
        accumulation: passes of each worker in a step, which takes ``batch_size * accumulation *
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
        strength_exponent: float = 0.0,
        rank: int = 0,
        num_workers: int = 1,
        accumulation: int = 1,
    ) -> None:
        """Prepare the cards and composites of every source."""
        self.sources = tuple(sources)
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.strength_exponent = strength_exponent
        self.seed = seed
        self.rank = rank
        self.accumulation = accumulation
        self.passes_per_step = num_workers * accumulation
        self._weights = [card_features(source.cards).weights_MT for source in sources]
        self._makers = [CompositeMaker(source.cards, composites) for source in sources]

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every instruction is seen once, or fewer where ``max_steps`` says so.

        The last incomplete step of each source is dropped; a source smaller than one step repeats
        its instructions.
        """
        return count_steps([len(source) for source in self.sources], self._stride, self.max_steps)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of this worker in an epoch, in order: ``accumulation`` of each step."""
        of_steps = np.repeat(
            np.arange(len(self.sources)),
            [count_steps([len(source)], self._stride) for source in self.sources],
        )
        order = np.random.default_rng((self.seed, epoch)).permutation(of_steps)
        steps = [self._steps(number, epoch) for number in range(len(self.sources))]
        for step, number in enumerate(order[: self.steps_per_epoch].tolist()):
            rng = np.random.default_rng((self.seed, epoch, step))
            yield from self._passes(step, number, next(steps[number]), rng)

    @property
    def _stride(self) -> int:
        """Instructions of a step."""
        return self.batch_size * self.passes_per_step

    def _steps(self, number: int, epoch: int) -> Iterator[OutcomeMatrix]:
        """Instructions of one step of a source after the other, of like length in each."""
        seed = (self.seed, epoch, number)
        rng = np.random.default_rng((*seed, 1))
        pieces = self._pieces(self.sources[number], seed)
        for window in windows(pieces, _STEPS_PER_WINDOW * self._stride):
            num_steps = len(window) // self._stride
            lengths = [len(text) for text in window.instructions[: num_steps * self._stride]]
            rows = np.argsort(lengths, kind="stable").reshape(num_steps, self._stride)
            for place in rng.permutation(num_steps):
                yield window.rows(rows[place].tolist())

    def _pieces(self, source: OutcomeSource, seed: Sequence[int]) -> Iterator[OutcomeMatrix]:
        """A source's pieces; again and again while they are too few for a step."""
        yield from source.pieces(seed)
        for _ in range(len(source), self._stride, len(source)):
            yield from source.pieces(seed)

    def _passes(
        self, step: int, number: int, rows: OutcomeMatrix, rng: np.random.Generator
    ) -> Iterator[Batch]:
        """This worker's passes of a step over some instructions of one source."""
        maker = self._makers[number]
        statement_G = maker.statements(rows.tasks)
        weights_CT, composed_GC = maker.draw(statement_G, rows.correct_QM, rng)
        weights_MT = np.concatenate([self._weights[number], weights_CT])
        counted_M = candidate_weights(weights_MT, self.strength_exponent)
        correct_GM = np.concatenate([rows.correct_QM, composed_GC], axis=1)
        # Every pass takes each n-th row, so that instructions of all passes are of like length.
        parts = [slice(first, None, self.passes_per_step) for first in range(self.passes_per_step)]
        correct = [correct_GM[part] for part in parts]
        statement = [statement_G[part] for part in parts]
        first = self.rank * self.accumulation
        for place in range(first, first + self.accumulation):
            yield Batch(
                source=number,
                number=step * self.passes_per_step + place,
                instructions=rows.instructions[parts[place]],
                weights=weights_MT,
                correct=correct[place],
                statement=statement[place],
                terms=term_weights(correct, statement, place, counted_M),
            )


def count_steps(sizes: Sequence[int], stride: int, max_steps: int | None = None) -> int:
    """Steps of an epoch; see :attr:`BatchSampler.steps_per_epoch`.

    Args:
        sizes: instructions of each source.
        stride: instructions of a step.
        max_steps: steps after which an epoch ends; None: when every instruction was seen.
    """
    steps = sum(max(1, size // stride) for size in sizes)
    return steps if max_steps is None else min(steps, max_steps)


def windows(pieces: Iterable[OutcomeMatrix], size: int) -> Iterator[OutcomeMatrix]:
    """Cut pieces anew, into ones of ``size`` instructions; the last one may be shorter."""
    held: list[OutcomeMatrix] = []
    num_held = 0
    for piece in pieces:
        start = 0
        while start < len(piece):
            stop = min(len(piece), start + size - num_held)
            held.append(piece.rows(range(start, stop)))
            num_held += stop - start
            start = stop
            if num_held == size:
                yield concatenate(held)
                held, num_held = [], 0
    if held:
        yield concatenate(held)
