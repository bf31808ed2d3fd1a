"""Numeric features of cards: their statements and the evidence for each.

Torch-free. A statement's text describes the task; the candidate's accuracy is a number, because
text encoders map "35 %" and "85 %" to similar vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.aptitude.tasks import CoreTask
from modelsat.capability.cards import Card, Statement
from modelsat.errors import ZooError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CardFeatures:
    """Cards over a common list of statements.

    Attributes:
        tasks: T names of tasks.
        texts: T distinct statement texts.
        num_correct_MT: correct answers of each card on each statement's task, float32 [M, T].
        num_shots_MT: graded answers, float32 [M, T]; 0 where a card has no statement.
    """

    tasks: tuple[str, ...]
    texts: tuple[str, ...]
    num_correct_MT: Floats
    num_shots_MT: Floats

    @property
    def weights_MT(self) -> Floats:
        """Evidence of each card for each statement, float32 [M, T]."""
        return evidence(self.num_correct_MT, self.num_shots_MT)

    @property
    def mean_evidence_M(self) -> Floats:
        """Evidence of each card over all its statements, float32 [M]."""
        num_statements_M = np.maximum((self.num_shots_MT > 0).sum(axis=1), 1)
        return np.asarray(self.weights_MT.sum(axis=1) / num_statements_M, dtype=np.float32)


def with_neutral_card(rows_MT: Floats) -> Floats:
    """Prepend a neutral card (zeros) to the evidence or effects of cards, [1 + M, T]."""
    return np.pad(rows_MT, ((1, 0), (0, 0)))


def evidence(num_correct: Floats, num_shots: Floats) -> Floats:
    """Log-odds of success on a task, shrunk towards 0 by half an answer each way.

    With 20 shots it lies in -3.7..3.7; fewer shots shrink it towards 0, so the value reflects its
    uncertainty (Haldane-Anscombe correction).

    Args:
        num_correct: correct answers, of any shape.
        num_shots: graded answers, same shape.
    """
    num_wrong = num_shots - num_correct
    return np.log((num_correct + 0.5) / (num_wrong + 0.5)).astype(np.float32)


def card_features(cards: Sequence[Card]) -> CardFeatures:
    """Compute the features of cards of one aptitude test.

    A card without a statement about a task, because its candidate cannot read the questions, has
    no answers there: evidence 0.

    Raises:
        ZooError: the list is empty, or cards have statements about different tasks.
    """
    if not cards:
        raise ZooError("the zoo is empty: no card to score; pass at least one")
    fullest = max(cards, key=lambda card: len(card.statements))
    texts = tuple(statement_text(statement) for statement in fullest.statements)
    column_of = {text: t for t, text in enumerate(texts)}
    counts_MT2 = np.zeros((len(cards), len(texts), 2), dtype=np.float32)
    for m, card in enumerate(cards):
        for statement in card.statements:
            column = column_of.get(statement_text(statement))
            if column is None:
                raise ZooError(
                    f"cards of {fullest.candidate!r} and {card.candidate!r} describe different "
                    "tasks; profile both on the same aptitude test"
                )
            counts_MT2[m, column] = statement.num_correct, statement.num_shots
    tasks = tuple(statement.task for statement in fullest.statements)
    return CardFeatures(tasks, texts, counts_MT2[..., 0], counts_MT2[..., 1])


def statement_text(statement: Statement | CoreTask) -> str:
    """Return the encoder's input text for a statement or core task."""
    return f"{statement.task.replace('_', ' ')}: {statement.description}"
