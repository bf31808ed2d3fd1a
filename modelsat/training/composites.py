"""Composite candidates: data augmentation that mixes cards and outcomes of real candidates.

A composite candidate answers a share of each task's questions like one real candidate and the rest
like another, both drawn for each task; its card mixes their counts of correct answers in the same
shares. So card and outcomes both come from measurements, and a few real candidates yield any
number of different cards. Two ideal sources are added to the real candidates, always right (20 of
20) and always wrong (0 of 20), so that every task occurs at every accuracy. Without composites a
router learns to recognise the candidate of a card; with them it must read the card's content.

Shapes: B instructions, M real candidates, S sources (M and the two ideal ones), C composites,
T statements.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelsat.capability.cards import Card
from modelsat.modeling.card_features import card_features, evidence
from modelsat.outcomes.matrix import Floats, Ints

# Concentration of the Dirichlet prior over a composite's sources: 0.5 gives everything from near
# copies to uniform mixtures.
_CONCENTRATION = 0.5
_IDEAL_CORRECT = (1.0, 0.0)  # outcomes of the ideal sources: always right, always wrong


class CompositeMaker:
    """Draws composites of real candidates.

    Attributes:
        composites: C, composites per draw.

    Args:
        cards: cards of the real candidates.
        composites: C.
    """

    def __init__(self, cards: Sequence[Card], composites: int) -> None:
        """Collect the counts of correct answers and shots of each source."""
        self.composites = composites
        features = card_features(cards)
        most_shots_T = features.num_shots_MT.max(axis=0)
        ideal_2T = np.outer(_IDEAL_CORRECT, most_shots_T).astype(np.float32)
        self._correct_ST = np.concatenate([features.num_correct_MT, ideal_2T])
        self._shots_ST = np.concatenate([features.num_shots_MT, [most_shots_T, most_shots_T]])
        self._index_of = {task: index for index, task in enumerate(features.tasks)}

    def statements(self, tasks: Sequence[str]) -> Ints:
        """Return the index of the statement about each task, -1 if there is none, int64 [B]."""
        return np.array([self._index_of.get(task, -1) for task in tasks], dtype=np.int64)

    def draw(
        self, statement_B: Ints, real_BM: Floats, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Draw composites and their answers.

        Args:
            statement_B: index of each instruction's statement; see :meth:`statements`.
            real_BM: the real candidates' outcomes on them, NaN where missing.
            rng: draws sources and shares.

        Returns:
            Evidence of their cards, float32 [C, T], and their outcomes, float32 [B, C]; NaN
            where the source's outcome is missing and on instructions outside the core tasks, for
            which composites are not defined.
        """
        ideal_B2 = np.tile(np.array(_IDEAL_CORRECT, dtype=np.float32), (len(statement_B), 1))
        answers_BS = np.concatenate([real_BM, ideal_B2], axis=1)
        sources_2CT = self._draw_sources(rng)
        share_CT = rng.beta(_CONCENTRATION, _CONCENTRATION, size=sources_2CT.shape[1:])
        uses_first_BC = rng.random((len(statement_B), self.composites)) < share_CT[:, statement_B].T
        source_BC = np.where(
            uses_first_BC, sources_2CT[0][:, statement_B].T, sources_2CT[1][:, statement_B].T
        )
        composed_BC = np.take_along_axis(answers_BS, source_BC, axis=1)
        composed_BC = np.where(statement_B[:, None] >= 0, composed_BC, np.nan)
        return self._blended_evidence(sources_2CT, share_CT), composed_BC.astype(np.float32)

    def _draw_sources(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw the two sources of each composite for each task, int64 [2, C, T]."""
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
