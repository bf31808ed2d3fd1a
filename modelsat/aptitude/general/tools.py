"""Calls of tools: the right ones, with the right arguments, in the right cases."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, tasks_of
from modelsat.aptitude.general.words import GOODS, PLACES, people

Arguments = dict[str, Any]
Request = tuple[str, Arguments]  # in words, and the arguments of the call


def _timer(rng: Random, level: int) -> Request:
    hours, minutes = rng.randint(1, 9), rng.randint(1, 59)
    name = rng.choice(("tea", "oven", "nap", "laundry", "yoga", "break", "walk", "bread"))
    if level == 1:
        return f'start a timer labelled "{name}" of {minutes} minutes', {
            "minutes": minutes,
            "label": name,
        }
    text = f'start a timer labelled "{name}" of {hours} h {minutes} min'
    return text, {"minutes": 60 * hours + minutes, "label": name}


def _alarm(rng: Random, level: int) -> Request:
    hour, minute = rng.randint(1, 11), rng.randint(10, 59)
    if level == 1:
        return f"wake me at {hour:02d}:{minute}", {"time": f"{hour:02d}:{minute}"}
    days = rng.sample(("mon", "tue", "wed", "thu", "fri"), 2)
    days.sort(key=("mon", "tue", "wed", "thu", "fri").index)
    half = rng.choice(("am", "pm"))
    time = f"{hour + 12 * (half == 'pm'):02d}:{minute}"
    return f"wake me at {hour}:{minute} {half} every {days[0]} and {days[1]}", {
        "time": time,
        "days": days,
    }


def _payment(rng: Random, level: int) -> Request:
    who, coins = people(rng, 1)[0], rng.randint(2, 90)
    if level <= 2:
        return f"send {coins} coins to {who}", {"to": who, "cents": 100 * coins}
    cents = rng.randint(1, 99)
    note = rng.choice(("rent", "lunch", "tickets", "thanks"))
    return (
        f"send {who} {coins} coins and {cents} cents with the note {note}",
        {"to": who, "cents": 100 * coins + cents, "note": note},
    )


def _purchase(rng: Random, level: int) -> Request:
    thing, count = rng.choice(GOODS), rng.randint(2, 9)
    if level <= 2:
        return f"order {count} {thing}", {"item": thing, "count": count}
    return f"order {count} dozen {thing}, express", {
        "item": thing,
        "count": 12 * count,
        "express": True,
    }


def _trip(rng: Random, level: int) -> Request:
    start, goal = rng.sample(PLACES, 2)
    seats = rng.randint(2, 6)
    text, arguments = f"book a train from {start} to {goal}", {"from": start, "to": goal}
    if level <= 2:
        return text, arguments
    return (
        f"{text} and, apart from my own seat, seats for {seats} friends",
        {**arguments, "seats": seats + 1},
    )


def _heating(rng: Random, level: int) -> Request:
    room, value = rng.choice(("kitchen", "hall", "attic", "study", "garage")), rng.randint(15, 24)
    if level <= 2:
        return f"heat the {room} to {value} degrees", {"room": room, "celsius": value}
    now = value - rng.randint(2, 5)
    return (
        f"make the {room}, which is at {now} degrees, {value - now} degrees warmer",
        {"room": room, "celsius": value},
    )


def _message(rng: Random, _level: int) -> Request:
    who, word = (
        people(rng, 1)[0],
        rng.choice(("hello", "yes", "later", "thanks", "sorry", "welcome")),
    )
    return f'text "{word}" to {who}', {"to": who, "text": word}


def _forecast(rng: Random, level: int) -> Request:
    place, days = rng.choice(PLACES), rng.randint(2, 9)
    if level <= 2:
        return f"get the forecast of {place} for {days} days", {"place": place, "days": days}
    return f"get the forecast of {place} for {days} weeks", {"place": place, "days": 7 * days}


# Signature, and how a request is drawn. An argument with a question mark is optional.
_TOOLS: dict[str, tuple[str, Callable[[Random, int], Request]]] = {
    "start_timer": ("minutes: integer, label?: string", _timer),
    "set_alarm": (
        'time: "HH:MM" of 24 hours, days?: list of "mon", "tue", "wed", "thu", "fri"',
        _alarm,
    ),
    "send_money": ("to: string, cents: integer (a coin is 100 cents), note?: string", _payment),
    "order_goods": ("item: string, count: integer, express?: boolean", _purchase),
    "book_train": ("from: string, to: string, seats?: integer, of all travellers", _trip),
    "set_heating": ("room: string, celsius: integer", _heating),
    "send_message": ("to: string, text: string", _message),
    "get_forecast": ("place: string, days: integer", _forecast),
}
# Never the right one, but close to one.
_DISTRACTORS = {
    "stop_timer": "label: string",
    "request_money": "from: string, cents: integer",
    "cancel_order": "item: string",
    "find_train": "from: string, to: string",
    "get_heating": "room: string",
    "read_messages": "from: string",
}
_ENDING = (
    'Answer with a JSON list of the calls alone: [{"name": ..., "arguments": {...}}, ...]. Leave out '
    "optional arguments that the request does not determine. If no call is needed, answer []."
)


def calls_item(rng: Random, names: Sequence[str], request: str, calls: list[Any]) -> Item:
    """Return a question whose answer is a list of calls."""
    lines = [
        f"- {name}({(_DISTRACTORS | {n: s for n, (s, _) in _TOOLS.items()})[name]})"
        for name in names
    ]
    rng.shuffle(lines)
    tools = "\n".join(lines)
    return Item(
        f"You can call these tools:\n{tools}\n{request}\n{_ENDING}", json.dumps(calls), "tool_call"
    )


def _offered(rng: Random, used: Sequence[str], level: int) -> list[str]:
    """Return the tools that a question offers: those that are used, and others."""
    others = [name for name in (*_TOOLS, *_DISTRACTORS) if name not in used]
    return [*dict.fromkeys(used), *rng.sample(others, (2, 3, 5, 6, 7)[level - 1])]


def _call(rng: Random, name: str, level: int) -> tuple[str, dict[str, Any]]:
    text, arguments = _TOOLS[name][1](rng, level)
    return text, {"name": name, "arguments": arguments}


def _one_call(rng: Random, level: int) -> Item:
    """Ask for one call, in a request that says what is not wanted as well."""
    name, *unwanted = rng.sample([*_TOOLS], 3)
    text, call = _call(rng, name, level)
    who = next(person for person in people(rng, 5) if person not in text)
    request = f"{who} asks: please {text}."
    if level >= 3:
        request += f" Yesterday I wanted you to {_call(rng, unwanted[0], 2)[0]}, but that is done."
    if level >= 4:
        request += f" Do not {_call(rng, unwanted[1], 2)[0]} yet."
    if level == 5:
        changed, call = _call(rng, name, level)
        request += f" Sorry, I was wrong about the first wish. Instead, {changed}."
    return calls_item(rng, _offered(rng, [name], level), request, [call])


def _several_calls(rng: Random, level: int) -> Item:
    """Ask for several calls, some of them under conditions."""
    count, num_conditions = ((2, 0), (3, 1), (4, 2), (5, 4), (7, 6))[level - 1]
    names = [rng.choice([*_TOOLS]) for _ in range(count)]
    rooms = rng.sample(GOODS, 4)
    stock = {thing: rng.randint(1, 40) for thing in rooms}
    wishes, calls = [], []
    for place, name in enumerate(names):
        text, call = _call(rng, name, min(level, 3))
        if place < num_conditions:
            a, b = rng.sample(rooms, 2)
            number = rng.randint(5, 35)
            holds, condition = rng.choice(
                (
                    (stock[a] > number, f"there are more than {number} {a}"),
                    (stock[a] < stock[b], f"there are fewer {a} than {b}"),
                    (
                        stock[a] + stock[b] > 2 * number,
                        f"there are more than {2 * number} {a} and {b} together",
                    ),
                )
            )
            otherwise = rng.random() < 0.4
            text = f"{'unless' if otherwise else 'if'} {condition}, {text}"
            if holds == otherwise:
                wishes.append(text)
                continue
        calls.append(call)
        wishes.append(text)
    order = rng.sample(wishes, len(wishes))
    counted = ", ".join(f"{n} {thing}" for thing, n in stock.items())
    lines = "\n".join(f"{i}. {text[0].upper()}{text[1:]}." for i, text in enumerate(order, 1))
    return calls_item(
        rng,
        _offered(rng, names, level),
        f"In the store there are {counted}. Do all of this:\n{lines}",
        calls,
    )


def _next_call(rng: Random, level: int) -> Item:
    """Ask for the call that follows from the results of earlier ones."""
    count = (2, 3, 4, 6, 8)[level - 1]
    who, thing = people(rng, count), rng.choice(GOODS)
    towns = rng.sample(PLACES, count)
    debts = rng.sample(range(11, 99), count)
    paid = [rng.randint(1, debt - 1) if level >= 3 else 0 for debt in debts]
    left = [debt - part for debt, part in zip(debts, paid, strict=True)]
    if len({*left}) < count:
        return _next_call(rng, level)
    place = rng.randrange(count)
    rank = sorted(left, reverse=True).index(left[place])
    position = ("most", "second most", "third most", "fourth most")[min(rank, 3)]
    if rank > 3 or (level < 3 and rank > 0):
        return _next_call(rng, level)
    lines = [
        f'get_customer("{name}") returned {{"town": "{town}", "ordered_coins": {debt}, '
        f'"paid_coins": {part}}}'
        for name, town, debt, part in zip(who, towns, debts, paid, strict=True)
    ]
    rng.shuffle(lines)
    results = "\n".join(lines)
    wishes = {
        "send_money": (
            "send this customer half of what is still open",
            {"to": who[place], "cents": 50 * left[place]},
        ),
        "order_goods": (
            f"order as many {thing} as this customer still owes coins, and do it express",
            {"item": thing, "count": left[place], "express": True},
        ),
        "get_forecast": (
            "get the forecast of this customer's town for as many days as there are customers here",
            {"place": towns[place], "days": count},
        ),
    }
    name = rng.choice([*wishes])
    text, arguments = wishes[name]
    request = (
        f"These calls were made already:\n{results}\nWhat is open is what was ordered and not yet paid. "
        f"For the customer with the {position} coins still open: {text}. Make the one call that is left."
    )
    return calls_item(
        rng, _offered(rng, [name], level), request, [{"name": name, "arguments": arguments}]
    )


TASKS = tasks_of(
    "tool_use",
    {
        "single_calls": (_one_call, "tool call, function, arguments, request, assistant"),
        "several_calls": (
            _several_calls,
            "tool calls, conditions, functions, arguments, assistant",
        ),
        "follow_up_calls": (_next_call, "tool call, results, context, arguments, agent"),
    },
)
