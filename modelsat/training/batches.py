"""Batches: some instructions, the real candidates, and composite candidates.

A run may learn from several outcome matrices, each with the cards of its own aptitude test; the
instructions of one batch come from one of them.

Shapes: B instructions, M real candidates, C composites, T statements.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelsat.modeling.card_features import card_features
from modelsat.training.composites import CompositeMaker
from modelsat.training.data import Floats, OutcomeMatrix
from modelsat.training.losses import Ints, TermWeights, term_weights

# Steps whose instructions are sorted by length together: padding falls to a few percent while the
# batches still differ from epoch to epoch.
_STEPS_PER_POOL = 16


@dataclass(frozen=True)
class Batch:
    """One pass of one worker: its part of a step.

    Attributes:
        matrix: which outcome matrix it comes from.
        number: place among all passes of the epoch, those of the other workers included.
        instructions: B prompts.
        weights: evidence of each card for each statement, float32 [M + C, T].
        correct: outcomes, NaN where there is none, float32 [B, M + C].
        statement: place of each instruction's own statement, -1 where it has none, int64 [B].
        terms: how much its loss terms count among the passes of the step.
    """

    matrix: int
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
        matrices: training outcomes, at least one matrix.
        batch_size: instructions of one pass.
        composites: composite candidates per step.
        max_steps: steps after which an epoch ends; None: when every instruction was seen.
        seed: seeds order and composites.
        rank: which worker's share to draw.
        num_workers: number of workers.
        accumulation: passes of each worker in a step, which takes ``batch_size * accumulation *
            num_workers`` instructions.
    """

    def __init__(
        self,
        matrices: Sequence[OutcomeMatrix],
        *,
        batch_size: int,
        composites: int,
        seed: int,
        max_steps: int | None = None,
        rank: int = 0,
        num_workers: int = 1,
        accumulation: int = 1,
    ) -> None:
        """Prepare the cards and composites of every matrix."""
        self.matrices = tuple(matrices)
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.seed = seed
        self.rank = rank
        self.accumulation = accumulation
        self.passes_per_step = num_workers * accumulation
        self._weights = [card_features(matrix.cards).weights_MT for matrix in matrices]
        self._makers = [CompositeMaker(matrix, composites) for matrix in matrices]

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every instruction is seen once, or fewer where ``max_steps`` says so.

        The last incomplete step of each matrix is dropped; a matrix smaller than one step repeats
        its instructions.
        """
        steps = sum(self._steps_of(matrix) for matrix in self.matrices)
        return steps if self.max_steps is None else min(steps, self.max_steps)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of this worker in an epoch, in order: ``accumulation`` of each step."""
        order = np.random.default_rng((self.seed, epoch))
        steps = [
            (number, rows)
            for number, matrix in enumerate(self.matrices)
            for rows in self._rows_of_steps(matrix, order)
        ]
        for step, place in enumerate(order.permutation(len(steps))[: self.steps_per_epoch]):
            number, rows = steps[place]
            rng = np.random.default_rng((self.seed, epoch, step))
            yield from self._passes(step, number, rows, rng)

    def _steps_of(self, matrix: OutcomeMatrix) -> int:
        return max(1, len(matrix) // (self.batch_size * self.passes_per_step))

    def _rows_of_steps(self, matrix: OutcomeMatrix, rng: np.random.Generator) -> Iterator[Ints]:
        stride = self.batch_size * self.passes_per_step
        rows = np.resize(rng.permutation(len(matrix)), self._steps_of(matrix) * stride)
        length_Q = np.array([len(text) for text in matrix.instructions])
        for start in range(0, len(rows), _STEPS_PER_POOL * stride):
            pool = rows[start : start + _STEPS_PER_POOL * stride]
            pool = pool[np.argsort(length_Q[pool], kind="stable")]
            yield from pool.reshape(-1, stride)

    def _passes(
        self, step: int, number: int, rows: Ints, rng: np.random.Generator
    ) -> Iterator[Batch]:
        """This worker's passes of a step over some rows of one matrix."""
        matrix, maker = self.matrices[number], self._makers[number]
        real_GM = matrix.correct_QM[rows]
        weights_CT, composed_GC = maker.draw(rows, real_GM, rng)
        correct_GM = np.concatenate([real_GM, composed_GC], axis=1)
        # Every pass takes each n-th row, so that instructions of all passes are of like length.
        parts = [slice(first, None, self.passes_per_step) for first in range(self.passes_per_step)]
        correct = [correct_GM[part] for part in parts]
        statement = [maker.statement_Q[rows[part]] for part in parts]
        first = self.rank * self.accumulation
        for place in range(first, first + self.accumulation):
            yield Batch(
                matrix=number,
                number=step * self.passes_per_step + place,
                instructions=tuple(matrix.instructions[i] for i in rows[parts[place]]),
                weights=np.concatenate([self._weights[number], weights_CT]),
                correct=correct[place],
                statement=statement[place],
                terms=term_weights(correct, statement, place),
            )
