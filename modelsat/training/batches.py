"""Batches: some instructions, the real candidates, and composite candidates.

A composite candidate answers a share of each task's questions as one real candidate does and
the rest as another, both drawn anew for every task; its card counts their correct answers in
the same shares. Card and outcomes thus both come from measurements, and a handful of real
candidates yields any number of different cards. Two ideal sources stand beside the real ones,
always right (20 of 20) and always wrong (0 of 20), so that every task is seen at every level.
Without composites a router learns which candidate a card belongs to; with them it must read what
the card says.

Shapes: B instructions, M real candidates, S sources (M and the two ideal ones), C composites,
T statements.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.modeling.card_features import card_features, evidence
from modelsat.training.data import Floats, OutcomeMatrix

# Concentration of the Dirichlet prior from which a composite draws how often it takes each source:
# 0.5 gives everything between near copies and even mixtures.
_CONCENTRATION = 0.5
_IDEAL_CORRECT = (1.0, 0.0)  # outcomes of the ideal sources: always right, always wrong


@dataclass(frozen=True)
class Batch:
    """One step's input of one worker.

    Attributes:
        instructions: B prompts.
        weights: evidence of each card for each statement, float32 [M + C, T].
        correct: outcomes, NaN where there is none, float32 [B, M + C].
    """

    instructions: tuple[str, ...]
    weights: Floats
    correct: Floats


class BatchSampler:
    """Seeded batches over the training instructions, the same whatever runs them.

    Args:
        matrix: training outcomes.
        batch_size: instructions per worker and step.
        composites: composite candidates per step.
        seed: seeds order and composites.
        rank: which worker's share to draw.
        num_workers: number of workers; each step uses ``batch_size * num_workers`` instructions.
    """

    def __init__(
        self,
        matrix: OutcomeMatrix,
        *,
        batch_size: int,
        composites: int,
        seed: int,
        rank: int = 0,
        num_workers: int = 1,
    ) -> None:
        """Find the statement each instruction belongs to."""
        self.matrix = matrix
        self.batch_size = batch_size
        self.composites = composites
        self.seed = seed
        self.rank = rank
        self.num_workers = num_workers
        features = card_features(matrix.cards)
        most_shots_T = features.num_shots_MT.max(axis=0)
        ideal_2T = np.outer(_IDEAL_CORRECT, most_shots_T).astype(np.float32)
        self._weights_MT = features.weights_MT
        self._correct_ST = np.concatenate([features.num_correct_MT, ideal_2T])
        self._shots_ST = np.concatenate([features.num_shots_MT, [most_shots_T, most_shots_T]])
        column = {s.task: t for t, s in enumerate(matrix.cards[0].statements)}
        self._statement_Q = np.array([column.get(task, -1) for task in matrix.tasks])

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every instruction is seen once; the last incomplete step is dropped."""
        return max(1, len(self.matrix) // (self.batch_size * self.num_workers))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of this worker in an epoch, in order."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.matrix))
        stride = self.batch_size * self.num_workers
        for step in range(self.steps_per_epoch):
            start = step * stride + self.rank * self.batch_size
            rows = order[start : start + self.batch_size]
            if not len(rows):
                rows = order[: self.batch_size]
            rng = np.random.default_rng((self.seed, epoch, step, self.rank))
            yield self._batch(rows, rng)

    def _batch(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Batch:
        real_BM = self.matrix.correct_QM[rows]
        ideal_B2 = np.tile(np.array(_IDEAL_CORRECT, dtype=np.float32), (len(rows), 1))
        answers_BS = np.concatenate([real_BM, ideal_B2], axis=1)
        sources_2CT = self._draw_sources(rng)
        share_CT = rng.beta(_CONCENTRATION, _CONCENTRATION, size=sources_2CT.shape[1:])
        weights_CT = self._blended_evidence(sources_2CT, share_CT)
        statement_B = self._statement_Q[rows]
        uses_first_BC = rng.random((len(rows), self.composites)) < share_CT[:, statement_B].T
        source_BC = np.where(
            uses_first_BC, sources_2CT[0][:, statement_B].T, sources_2CT[1][:, statement_B].T
        )
        composed_BC = np.take_along_axis(answers_BS, source_BC, axis=1)
        # An instruction outside the core tasks belongs to no statement, so no composite has a
        # definite answer to it.
        composed_BC = np.where(statement_B[:, None] >= 0, composed_BC, np.nan)
        return Batch(
            instructions=tuple(self.matrix.instructions[i] for i in rows),
            weights=np.concatenate([self._weights_MT, weights_CT]),
            correct=np.concatenate([real_BM, composed_BC], axis=1).astype(np.float32),
        )

    def _draw_sources(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """The two sources behind each task of each composite, int64 [2, C, T]."""
        num_sources, T = self._shots_ST.shape
        shares_CS = rng.dirichlet([_CONCENTRATION] * num_sources, size=self.composites)
        cumulative_CS = shares_CS.cumsum(axis=1)
        uniform_2CT = rng.random((2, self.composites, T))
        sources_2CT = (uniform_2CT[..., None] > cumulative_CS[:, None, :]).sum(axis=-1)
        return np.asarray(np.minimum(sources_2CT, num_sources - 1), dtype=np.int64)

    def _blended_evidence(
        self, sources_2CT: npt.NDArray[np.int64], share_CT: npt.NDArray[np.float64]
    ) -> Floats:
        column_T = np.arange(sources_2CT.shape[2])
        counts = []
        for counts_ST in (self._correct_ST, self._shots_ST):
            first_CT, second_CT = counts_ST[sources_2CT, column_T]
            counts.append(share_CT * first_CT + (1 - share_CT) * second_CT)
        return evidence(*counts)
