"""Calls of tools: the right ones, with the right arguments, in the right cases."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, numbered, read_data, read_tasks
from modelsat.aptitude.general.words import GOODS, NOUNS, PLACES, people

_DATA = read_data("tool_use")
_TOOLS: dict[str, str] = _DATA["tools"]
_SIGNATURES = _TOOLS | _DATA["others"]
_DAYS = ("mon", "tue", "wed", "thu", "fri")
_ENDING = (
    'Answer with a JSON list of the calls alone: [{"name": ..., "arguments": {...}}, ...]. Leave '
    "out optional arguments that the request does not determine. If no call is needed, answer []."
)
Call = dict[str, Any]


def _calls(
    rng: Random, calls: Sequence[Call], used: Sequence[str], level: int, **slots: object
) -> Item:
    """Return a question whose answer is a list of calls; it offers the tools in use and others."""
    others = [name for name in _SIGNATURES if name not in used]
    offered = [*dict.fromkeys(used), *rng.sample(others, (2, 3, 5, 6, 7)[level - 1])]
    lines = [f"- {name}({_SIGNATURES[name]})" for name in rng.sample(offered, len(offered))]
    return Item(json.dumps(calls), {"tools": "\n".join(lines), **slots}, "tool_call", _ENDING)


def _values(rng: Random) -> dict[str, Any]:
    """Draw everything that a request may name, and what its arguments follow from it."""
    n, few, hour, minute = (
        rng.randint(3, 59),
        rng.randint(2, 9),
        rng.randint(1, 11),
        rng.randint(10, 59),
    )
    days = [_DAYS[place] for place in sorted(rng.sample(range(5), 2))]
    half, word, warm = rng.choice(("am", "pm")), rng.choice(NOUNS), rng.randint(11, 19)
    place, goal = rng.sample(PLACES, 2)
    drawn = {"n": n, "few": few, "word": word, "warm": warm, "place": place, "goal": goal}
    return drawn | {
        "person": people(rng, 1)[0],
        "thing": rng.choice(GOODS),
        "room": rng.choice(("kitchen", "hall", "attic", "study", "garage", "cellar")),
        "early": f"{hour:02d}:{minute}",
        "spoken": f"{hour}:{minute} {half}",
        "clock": f"{hour + 12 * (half == 'pm'):02d}:{minute}",
        "first_day": days[0],
        "second_day": days[1],
        "days": days,
        "total_minutes": 60 * few + n,
        "cents": 100 * n,
        "odd_cents": 100 * n + few,
        "dozens": 12 * few,
        "warmer": warm + few,
        "repeated": " ".join([word] * few),
        "weeks": 7 * few,
    }


def _request(rng: Random, name: str, level: int) -> tuple[str, Call]:
    """Return a request for a call of a tool, in words, and the call; hard ones from level 3 on."""
    text, arguments = _DATA["requests"][name][level >= 3]
    values = _values(rng)
    filled = {key: values.get(value, value) for key, value in arguments.items()}
    return text.format(**values), {"name": name, "arguments": filled}


def _one_call(rng: Random, level: int) -> Item:
    name, *unwanted = rng.sample([*_TOOLS], 3)
    wish, call = _request(rng, name, level)
    changed, other_call = _request(rng, name, level)
    done, later = (_request(rng, other, 1)[0] for other in unwanted)
    who = next(person for person in people(rng, 9) if person not in f"{wish} {changed}")
    slots = {"who": who, "wish": wish, "done": done, "later": later, "changed": changed}
    return _calls(rng, [other_call if level == 5 else call], [name], level, **slots)


def _condition(rng: Random, stock: dict[str, int]) -> tuple[str, bool]:
    """Return a condition on the numbers of goods, and whether it holds."""
    a, b = rng.sample([*stock], 2)
    number = rng.randint(5, 35)
    return rng.choice(
        (
            (f"there are more than {number} {a}", stock[a] > number),
            (f"there are fewer {a} than {b}", stock[a] < stock[b]),
            (
                f"there are more than {2 * number} {a} and {b} together",
                stock[a] + stock[b] > 2 * number,
            ),
        )
    )


def _several_calls(rng: Random, level: int) -> Item:
    count, num_conditions = ((2, 0), (3, 1), (4, 2), (5, 4), (7, 6))[level - 1]
    names = [rng.choice([*_TOOLS]) for _ in range(count)]
    stock = {thing: rng.randint(1, 40) for thing in rng.sample(GOODS, 4)}
    wishes, calls = [], []
    for place, name in enumerate(names):
        text, call = _request(rng, name, level)
        wanted = True
        if place < num_conditions:
            condition, wanted = _condition(rng, stock)
            if rng.random() < 0.4:
                text, wanted = f"unless {condition}, {text}", not wanted
            else:
                text = f"if {condition}, {text}"
        wishes.append(text)
        calls += [call] * wanted
    counted = ", ".join(f"{n} {thing}" for thing, n in stock.items())
    lines = numbered(rng.sample(wishes, count))
    return _calls(rng, calls, names, level, stock=counted, wishes=lines)


def _next_call(rng: Random, level: int) -> Item:
    """Ask for the call that follows from the results of earlier ones."""
    count = (2, 3, 4, 6, 8)[level - 1]
    who, towns = people(rng, count), rng.sample(PLACES, count)
    still_open = rng.sample(range(2, 60), count)
    paid = [rng.randint(2, 60) if level >= 3 else 0 for _ in who]
    place, thing = rng.randrange(count), rng.choice(GOODS)
    lines = [
        f'get_customer("{name}") -> {{"town": "{town}", "ordered": {debt + part}, "paid": {part}}}'
        for name, town, debt, part in zip(who, towns, still_open, paid, strict=True)
    ]
    values = {"customer": who[place], "town": towns[place], "open": still_open[place]}
    values |= {"half": 50 * still_open[place], "count": count, "thing": thing}
    rank = _DATA["ranks"][sorted(still_open, reverse=True).index(still_open[place])]
    name = rng.choice([*_DATA["follow_ups"]])
    text, arguments = _DATA["follow_ups"][name]
    call = {"name": name, "arguments": {key: values.get(v, v) for key, v in arguments.items()}}
    wish = text.format(thing=thing)
    return _calls(rng, [call], [name], level, results="\n".join(lines), rank=rank, wish=wish)


TASKS = read_tasks(
    "tool_use", single_calls=_one_call, several_calls=_several_calls, follow_up_calls=_next_call
)
