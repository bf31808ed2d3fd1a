"""Texts under constraints that a program verifies; the constraints of a text fit together."""

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, read_data, read_tasks
from modelsat.aptitude.general.words import GOODS, NOUNS, PLACES, people

_DATA = read_data("instructions")
_GROUPS: Mapping[str, Sequence[Sequence[str]]] = _DATA["groups"]
_ENDING = "Answer with the text alone."
_WORDS = {"places": PLACES, "nouns": NOUNS}
_SPAN = 12  # width of a range of numbers


def _rule(rng: Random, name: str) -> tuple[str, dict[str, Any]]:
    """Return a rule in words and as a constraint of the grader."""
    rule = _DATA["rules"][name]
    n = rng.randint(*rule.get("n", (0, 0)))
    numbers = {"n": n, "m": n + _SPAN, 0: 0}
    bounds = {bound: numbers[value] for bound, value in rule.get("bounds", {}).items()}
    constraint = {"kind": rule["kind"], **bounds}
    if "of" in rule:
        given = rule["of"]
        constraint["of"] = rng.choice(_WORDS[given] if isinstance(given, str) else given)
    return rule["text"].format(n=n, m=n + _SPAN, of=constraint.get("of")), constraint


def _clash(constraints: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a text that one rule requires has a word or letter that another limits."""
    kinds = ("keyword", "starts_with", "ends_with")
    required = " ".join(c["of"] for c in constraints if c["kind"] in kinds).lower()
    limited = ("no_keyword", "letter")
    return any(c["of"] in required for c in constraints if c["kind"] in limited and "of" in c)


def _text(task: str, rng: Random, level: int) -> Item:
    groups = _GROUPS[task]
    first = rng.randrange(2) if level == 1 else 0
    chosen = groups[first : first + (1, 2, 4, 6, len(groups))[level - 1]]
    rules = [_rule(rng, rng.choice(group)) for group in rng.sample(chosen, len(chosen))]
    while _clash([constraint for _, constraint in rules]):
        rules = [_rule(rng, rng.choice(group)) for group in rng.sample(chosen, len(chosen))]
    who, other = people(rng, 2)
    slots = {"who": who, "other": other, "thing": rng.choice(GOODS), "place": rng.choice(PLACES)}
    topic = rng.choice(_DATA["topics"]).format(**slots)
    args = {"constraints": [constraint for _, constraint in rules]}
    lines = "\n".join(f"- {text}" for text, _ in rules)
    return Item("", {"topic": topic, "rules": lines}, "instructions", _ENDING, args)


TASKS = read_tasks("instructions", **{task: partial(_text, task) for task in _GROUPS})
