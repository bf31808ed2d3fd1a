"""What the learned baselines share.

Shapes: Q questions, M candidates, E embedding width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modelsat.capability.cards import Card
from modelsat.errors import ZooError
from modelsat.evaluation.metrics import Ints
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

SEED = 0  # of every random start and sample of the baselines


@dataclass(frozen=True)
class Questions:
    """All that a baseline may know of the questions it scores: no outcome.

    Attributes:
        embeddings_QE: instruction embeddings, float32.
        tasks: Q task names; only baselines that are told the task read them.
    """

    embeddings_QE: Floats
    tasks: tuple[str, ...]


class Predictor(Protocol):
    """A fitted baseline."""

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Score [Q, M] of each candidate on each question; higher is better.

        Raises:
            ZooError: it knows candidates by their training outcomes, and a card's has none.
        """


@dataclass(frozen=True)
class Learner:
    """A baseline before it is fitted.

    Attributes:
        name: key in the report.
        detail: what it is, in the report.
        fit: makes a predictor from training outcomes, their embeddings [Q, E] and a setting.
        grid: the values to choose from of each part of the setting.
        reads_cards: the cards tell it outcomes of the aptitude test, which are then nothing to
            learn from or to choose a setting on.
    """

    name: str
    detail: str
    fit: Callable[..., Predictor]
    grid: Mapping[str, tuple[float, ...]]
    reads_cards: bool = False


def columns_of(candidates: Sequence[str], cards: Sequence[Card]) -> Ints:
    """Place of each card's candidate among those that a baseline was trained on.

    Raises:
        ZooError: a candidate was not among them.
    """
    place = {candidate: m for m, candidate in enumerate(candidates)}
    unknown = [card.candidate for card in cards if card.candidate not in place]
    if unknown:
        raise ZooError(
            f"no training outcome of {', '.join(unknown)}; this baseline knows candidates by their "
            "outcomes alone: judge it on candidates that have some"
        )
    return np.array([place[card.candidate] for card in cards], dtype=np.int64)


def embeddings_of(part: OutcomeMatrix, whole: OutcomeMatrix, embeddings_QE: Floats) -> Floats:
    """The rows of the whole's embeddings that belong to a part of its questions."""
    row_of = {question_id: i for i, question_id in enumerate(whole.question_ids)}
    return embeddings_QE[[row_of[question_id] for question_id in part.question_ids]]


def sampled_cells(training: OutcomeMatrix, most: int) -> tuple[Ints, Ints]:
    """Rows and columns of the known cells, a seeded sample where there are more than ``most``."""
    rows_C, columns_C = np.nonzero(~np.isnan(training.correct_QM))
    if len(rows_C) > most:
        kept = np.random.default_rng(SEED).choice(len(rows_C), most, replace=False)
        rows_C, columns_C = rows_C[kept], columns_C[kept]
    return rows_C, columns_C
