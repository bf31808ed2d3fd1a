"""Effect of editing one statement of a card: scores of its own task change, others do not.

Shapes: Q questions, M candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelsat.capability.cards import Card
from modelsat.errors import ZooError
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.routing.scoring import Scorer

_RAISE = 0.4  # share of a statement's shots: from 6 of 20 right to 14, for example


@dataclass(frozen=True)
class CardEdit:
    """Scores before and after one statement of each card was raised.

    Attributes:
        edited: task whose statement was raised.
        other: an unrelated task.
        num_cards: number of cards that were edited.
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
    """Raise the accuracy of cards on one task by 40 points, at most to 100 %, and compare scores.

    Args:
        scorer: the router.
        matrix: questions of both tasks.
        cards: cards to edit; those with 100 % on the task are left out.
        edited: task to raise.
        other: unrelated task whose scores are compared too.
        most: largest number of cards to edit.

    Raises:
        ZooError: all cards have 100 % on the task.
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
    """Return the card with one statement raised by 40 points; None if it is at 100 %."""
    (statement,) = (one for one in card.statements if one.task == task)
    if statement.num_correct >= statement.num_shots:
        return None
    num_correct = statement.num_correct + _RAISE * statement.num_shots
    higher = replace(statement, num_correct=min(num_correct, statement.num_shots))
    return replace(
        card, statements=tuple(higher if one is statement else one for one in card.statements)
    )
