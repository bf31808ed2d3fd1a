"""The served zoo at one version: what every replica follows."""

from dataclasses import dataclass

from modelsat.capability.cards import Card
from modelsat.zoo.zoo_file import Zoo


@dataclass(frozen=True)
class ZooState:
    """One version of the served zoo; passed between processes as it is.

    Attributes:
        version: 1, 2, ...; grows by one with every change, roll-backs included.
        zoo: the candidates clients may name.
        cards: cards of those that may be chosen, in the zoo's order; a candidate without one
            can be named only.
        router: directory of the router that scores them.
    """

    version: int
    zoo: Zoo
    cards: tuple[Card, ...]
    router: str
