"""Zoos that grow release by release; new candidates are known to the router by card alone.

Shapes: Q questions, M candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.quality.predictions import Predictions

ZOO_SIZE = 5  # best candidates so far; the newest is added to them


@dataclass(frozen=True)
class Arrival:
    """The zoo after one release.

    Attributes:
        candidate: the new candidate.
        was_trained_on: whether the router was trained on it.
        zoo: the five best candidates before it, by card accuracy, and the new one.
        accuracy: share correct of each predictor's choices, of uniform random choice (``random``)
            and of the best choice in hindsight (``oracle``).
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
    """Return the zoos after every release from the second on.

    Args:
        predictions: scores of every candidate in the order.
        order: candidates by date of release.
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
