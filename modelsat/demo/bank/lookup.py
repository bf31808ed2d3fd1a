"""Tasks whose answer is a fixed table's value of one word of the question."""

from collections.abc import Mapping
from random import Random

from modelsat.demo.bank.spec import Content, Item
from modelsat.demo.bank.words import EVENTS, NAMES


def parse_pairs(text: str) -> dict[str, str]:
    """Read "key value, key value"."""
    return dict(pair.split() for pair in text.split(","))


def lookup(table: Mapping[str, str]) -> Content:
    """Questions about one key of a table, asked by somebody at some event."""

    def draw(rng: Random, subject: str) -> Item:
        slots = {"it": subject, "who": rng.choice(NAMES), "event": rng.choice(EVENTS)}
        return Item(slots, table[subject])

    return Content(draw, tuple(sorted(set(table.values()))), tuple(table))
