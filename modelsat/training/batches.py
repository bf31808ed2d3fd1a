"""Batches: some instructions, the real candidates, and composite candidates.

A run may learn from several outcome matrices, each with the cards of its own aptitude test; the
instructions of one batch come from one of them.

Shapes: B instructions, M real candidates, C composites, T statements.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.modeling.card_features import card_features
from modelsat.training.composites import CompositeMaker
from modelsat.training.data import Floats, OutcomeMatrix

# Steps whose instructions are sorted by length together: padding falls to a few percent while the
# batches still differ from epoch to epoch.
_STEPS_PER_POOL = 16

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One step's input of one worker.

    Attributes:
        matrix: which outcome matrix it comes from.
        instructions: B prompts.
        weights: evidence of each card for each statement, float32 [M + C, T].
        correct: outcomes, NaN where there is none, float32 [B, M + C].
        statement: place of each instruction's own statement, -1 where it has none, int64 [B].
    """

    matrix: int
    instructions: tuple[str, ...]
    weights: Floats
    correct: Floats
    statement: Ints


class BatchSampler:
    """Seeded batches over the training instructions, the same whatever runs them.

    Args:
        matrices: training outcomes, at least one matrix.
        batch_size: instructions per worker and step.
        composites: composite candidates per step.
        max_steps: steps after which an epoch ends; None: when every instruction was seen.
        seed: seeds order and composites.
        rank: which worker's share to draw.
        num_workers: number of workers; each step uses ``batch_size * num_workers`` instructions.
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
    ) -> None:
        """Prepare the cards and composites of every matrix."""
        self.matrices = tuple(matrices)
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.seed = seed
        self.rank = rank
        self.num_workers = num_workers
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
        """The batches of this worker in an epoch, in order."""
        order = np.random.default_rng((self.seed, epoch))
        steps = [
            (number, rows)
            for number, matrix in enumerate(self.matrices)
            for rows in self._rows_of_steps(matrix, order)
        ]
        for step, place in enumerate(order.permutation(len(steps))[: self.steps_per_epoch]):
            number, rows = steps[place]
            # Every worker takes each n-th, so that their instructions are of like length.
            own = rows[self.rank :: self.num_workers]
            rng = np.random.default_rng((self.seed, epoch, step, self.rank))
            yield self._batch(number, own, rng)

    def _steps_of(self, matrix: OutcomeMatrix) -> int:
        return max(1, len(matrix) // (self.batch_size * self.num_workers))

    def _rows_of_steps(self, matrix: OutcomeMatrix, rng: np.random.Generator) -> Iterator[Ints]:
        stride = self.batch_size * self.num_workers
        rows = np.resize(rng.permutation(len(matrix)), self._steps_of(matrix) * stride)
        length_Q = np.array([len(text) for text in matrix.instructions])
        for start in range(0, len(rows), _STEPS_PER_POOL * stride):
            pool = rows[start : start + _STEPS_PER_POOL * stride]
            pool = pool[np.argsort(length_Q[pool], kind="stable")]
            yield from pool.reshape(-1, stride)

    def _batch(self, number: int, rows: Ints, rng: np.random.Generator) -> Batch:
        matrix = self.matrices[number]
        real_BM = matrix.correct_QM[rows]
        weights_CT, composed_BC = self._makers[number].draw(rows, real_BM, rng)
        return Batch(
            matrix=number,
            instructions=tuple(matrix.instructions[i] for i in rows),
            weights=np.concatenate([self._weights[number], weights_CT]),
            correct=np.concatenate([real_BM, composed_BC], axis=1),
            statement=self._makers[number].statement_Q[rows],
        )
