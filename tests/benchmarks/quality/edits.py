"""Does editing one line of a card move the scores it is about, and only these?

Shapes: Q questions, M candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelsat.capability.cards import Card
from modelsat.errors import ZooError
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.routing.scoring import Scorer

_RAISE = 0.4  # of a statement's shots: eight of twenty, from 30 % to 70 % say


@dataclass(frozen=True)
class CardEdit:
    """Scores before and after one statement of each card was raised.

    Attributes:
        edited: task whose statement was raised.
        other: a task that has nothing to do with it.
        num_cards: cards that were edited, of those with a question of the task wrong.
        share_risen: share of the cards whose mean score on questions of the edited task rose.
        edited_change: mean change of P(correct) on questions of the edited task.
        other_change: mean absolute change, per card, on questions of the other task.
    """

    edited: str
    other: str
    num_cards: int
    share_risen: float
    edited_change: float
    other_change: float


def edit_cards(
    scorer: Scorer,
    matrix: OutcomeMatrix,
    cards: Sequence[Card],
    edited: str,
    other: str,
    *,
    most: int,
) -> CardEdit:
    """Raise every card's accuracy on one task by 40 points, or to all questions right.

    Args:
        scorer: the router.
        matrix: questions of both tasks.
        cards: the cards to edit.
        edited: task to raise.
        other: task to watch.
        most: cards to edit at most.

    Raises:
        ZooError: all cards have all questions of the task right.
    """
    pairs = [(card, raised(card, edited)) for card in cards]
    before = [card for card, higher in pairs if higher is not None][:most]
    after = [higher for _, higher in pairs if higher is not None][:most]
    if not before:
        raise ZooError(
            f"every card has all questions of {edited} right; name a task with room to raise"
        )
    changes = {}
    for task in (edited, other):
        texts = [
            text for text, own in zip(matrix.instructions, matrix.tasks, strict=True) if own == task
        ]
        probability = scorer.router.calibration.probabilities
        old_QM = probability(scorer.log_odds_in_batches(texts, before))
        new_QM = probability(scorer.log_odds_in_batches(texts, after))
        changes[task] = (new_QM - old_QM).mean(axis=0)
    return CardEdit(
        edited,
        other,
        len(before),
        share_risen=float((changes[edited] > 0).mean()),
        edited_change=float(changes[edited].mean()),
        other_change=float(np.abs(changes[other]).mean()),
    )


def raised(card: Card, task: str) -> Card | None:
    """The card with one statement raised by 40 points, at most to 100 %; None if it is there."""
    (statement,) = (one for one in card.statements if one.task == task)
    if statement.num_correct >= statement.num_shots:
        return None
    num_correct = statement.num_correct + _RAISE * statement.num_shots
    higher = replace(statement, num_correct=min(num_correct, statement.num_shots))
    return replace(
        card, statements=tuple(higher if one is statement else one for one in card.statements)
    )
