"""Candidates are released one by one and join by their card alone; nobody is trained again.

Shapes: Q questions, M candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.quality.predictions import Predictions

ZOO_SIZE = 5  # the best so far; the newest candidate comes on top


@dataclass(frozen=True)
class Arrival:
    """The zoo after one release.

    Attributes:
        candidate: who arrived.
        was_trained_on: whether the router's training knew it.
        zoo: the five best before it, by card accuracy, and itself.
        accuracy: share correct of each predictor's choices, of an even draw (``random``) and of
            the best choice in hindsight (``oracle``).
    """

    candidate: str
    was_trained_on: bool
    zoo: tuple[str, ...]
    accuracy: Mapping[str, float]


def arrivals(
    predictions: Predictions,
    order: Sequence[str],
    card_accuracy: Mapping[str, float],
    trained_on: Sequence[str],
) -> list[Arrival]:
    """Every arrival from the second release on.

    Args:
        predictions: scores of every candidate in the order.
        order: candidates by release.
        card_accuracy: accuracy on the aptitude test, by candidate.
        trained_on: candidates that the router was trained on.
    """
    made = []
    for place in range(1, len(order)):
        before = sorted(order[:place], key=lambda name: (-card_accuracy[name], name))
        members = (*before[:ZOO_SIZE], order[place])
        zoo = predictions.of(members)
        accuracy = {name: float(zoo.chosen_correct(name).mean()) for name in zoo.scores}
        made.append(
            Arrival(
                order[place],
                order[place] in trained_on,
                members,
                {
                    "random": float(zoo.correct_QM.mean()),
                    **accuracy,
                    "oracle": float(zoo.correct_QM.max(axis=1).mean()),
                },
            )
        )
    return made
