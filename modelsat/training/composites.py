"""Composite candidates: cards and outcomes blended from real candidates.

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

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelsat.capability.cards import Card
from modelsat.modeling.card_features import card_features, evidence
from modelsat.outcomes.matrix import Floats, Ints

# Concentration of the Dirichlet prior from which a composite draws how often it takes each source:
# 0.5 gives everything between near copies and even mixtures.
_CONCENTRATION = 0.5
_IDEAL_CORRECT = (1.0, 0.0)  # outcomes of the ideal sources: always right, always wrong


class CompositeMaker:
    """Draws composites over real candidates.

    Attributes:
        composites: C, composites of each draw.

    Args:
        cards: of the real candidates.
        composites: C.
    """

    def __init__(self, cards: Sequence[Card], composites: int) -> None:
        """Count what each source answered rightly."""
        self.composites = composites
        features = card_features(cards)
        most_shots_T = features.num_shots_MT.max(axis=0)
        ideal_2T = np.outer(_IDEAL_CORRECT, most_shots_T).astype(np.float32)
        self._correct_ST = np.concatenate([features.num_correct_MT, ideal_2T])
        self._shots_ST = np.concatenate([features.num_shots_MT, [most_shots_T, most_shots_T]])
        self._place = {s.task: place for place, s in enumerate(cards[0].statements)}

    def statements(self, tasks: Sequence[str]) -> Ints:
        """Place of the statement on each task, -1 where there is none, int64 [B]."""
        return np.array([self._place.get(task, -1) for task in tasks], dtype=np.int64)

    def draw(
        self, statement_B: Ints, real_BM: Floats, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Draw composites and their answers.

        Args:
            statement_B: place of each instruction's own statement; see :meth:`statements`.
            real_BM: the real candidates' outcomes on them, NaN where there is none.
            rng: draws sources and shares.

        Returns:
            Evidence of their cards, float32 [C, T], and their outcomes, float32 [B, C]; NaN
            where the source has none and on instructions outside the core tasks, to which no
            composite has a definite answer.
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
