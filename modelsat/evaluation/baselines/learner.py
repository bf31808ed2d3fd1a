"""Common interface of the learned baselines.

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

SEED = 0  # of all random initialisations and samples of the baselines


@dataclass(frozen=True)
class Questions:
    """The inputs of a baseline for questions to score, without outcomes.

    Attributes:
        embeddings_QE: instruction embeddings, float32.
        tasks: Q task names; used only by baselines that are given the task.
    """

    embeddings_QE: Floats
    tasks: tuple[str, ...]


class Predictor(Protocol):
    """A fitted baseline."""

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Return the score [Q, M] of each candidate on each question; higher is better.

        Raises:
            ZooError: the baseline needs training outcomes of a candidate and has none.
        """


@dataclass(frozen=True)
class Learner:
    """A baseline before it is fitted.

    Attributes:
        name: key in the report.
        detail: description in the report.
        fit: fits a predictor to training outcomes, their embeddings [Q, E] and hyperparameters.
        grid: values to try of each hyperparameter.
        reads_cards: whether it reads cards, and so outcomes of the aptitude test, which must then
            not be used to fit or tune it.
    """

    name: str
    detail: str
    fit: Callable[..., Predictor]
    grid: Mapping[str, tuple[float, ...]]
    reads_cards: bool = False


def columns_of(candidates: Sequence[str], cards: Sequence[Card]) -> Ints:
    """Return the column of each card's candidate among a baseline's training candidates.

    Raises:
        ZooError: a candidate is not a training candidate.
    """
    column_of = {candidate: m for m, candidate in enumerate(candidates)}
    unknown = [card.candidate for card in cards if card.candidate not in column_of]
    if unknown:
        raise ZooError(
            f"no training outcome of {', '.join(unknown)}; this baseline can only score candidates "
            "with training outcomes: evaluate it on those"
        )
    return np.array([column_of[card.candidate] for card in cards], dtype=np.int64)


def embeddings_of(part: OutcomeMatrix, whole: OutcomeMatrix, embeddings_QE: Floats) -> Floats:
    """Select the rows of the whole matrix's embeddings for a part of its questions."""
    row_of = {question_id: i for i, question_id in enumerate(whole.question_ids)}
    return embeddings_QE[[row_of[question_id] for question_id in part.question_ids]]


def sampled_cells(training: OutcomeMatrix, most: int) -> tuple[Ints, Ints]:
    """Return rows and columns of the known cells, or a seeded sample of ``most`` of them."""
    rows_C, columns_C = np.nonzero(~np.isnan(training.correct_QM))
    if len(rows_C) > most:
        sample = np.random.default_rng(SEED).choice(len(rows_C), most, replace=False)
        rows_C, columns_C = rows_C[sample], columns_C[sample]
    return rows_C, columns_C
