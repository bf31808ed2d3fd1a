"""JSON documents: fields of a message, tables as documents, and edits of a document."""

import json
from datetime import date, timedelta
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, numbered, read_tasks
from modelsat.aptitude.general.words import COLOURS, GOODS, NOUNS, PLACES, people

_ENDING = "Answer with the JSON document alone."
_TYPES = {int: "integer", str: "string", list: "array"}


def _schema(value: Any) -> dict[str, Any]:
    """Return a JSON Schema with the types and the keys of a document."""
    if not isinstance(value, dict):
        return {"type": _TYPES[type(value)]}
    fields = {key: _schema(member) for key, member in value.items()}
    closed = {"required": [*value], "additionalProperties": False}
    return {"type": "object", "properties": fields, **closed}


def _document(document: Any, **slots: object) -> Item:
    return Item(json.dumps(document), slots, "json_schema", _ENDING, {"schema": _schema(document)})


def _day(value: date) -> str:
    return f"{value.day} {value:%B} {value.year}"


def _change(rng: Random, items: dict[str, list[int]], kind: str, dearer: set[str]) -> str:
    """Change an order and return the change in words; no price changes twice."""
    thing, number = rng.choice([*items]), rng.randint(2, 60)
    if kind == "price" and thing in dearer:
        kind = "more"
    if kind == "quantity":
        items[thing][0] = number
        return f"Make that {number} {thing} in all."
    if kind == "more":
        items[thing][0] += number
        return f"Add {number} more {thing}."
    if kind == "price":
        items[thing][1] += 2
        dearer.add(thing)
        return f"Your list says that {thing} now cost 2 coins more each; that is fine."
    if len(items) > 1:
        del items[thing]
        return f"We no longer need any {thing}."
    return f"{rng.choice(PLACES)} once ordered {number} {thing} and was happy with them."


def _order(rng: Random, level: int) -> Item:
    size, num_changes = ((1, 0), (2, 1), (3, 3), (5, 5), (6, 8))[level - 1]
    items = {thing: [rng.randint(2, 60), rng.randint(3, 99)] for thing in rng.sample(GOODS, size)}
    customer, (town, sender) = people(rng, 1)[0], rng.sample(PLACES, 2)
    day = date(2026, 1, 1) + timedelta(days=rng.randrange(2000))
    lines = [f"{n} {thing} at {price} coins each" for thing, (n, price) in items.items()]
    text = [
        f"{customer} here, writing from {sender}. Please send {'; '.join(lines)}.",
        f"Deliver to {town} on {_day(day)}.",
    ]
    dearer: set[str] = set()
    for _ in range(num_changes):
        kind = rng.choice(("quantity", "price", "more", "day", "drop"))
        if kind == "day":
            day += timedelta(days=rng.randint(2, 9))
            text.append(f"Deliver on {_day(day)} instead.")
        else:
            text.append(_change(rng, items, kind, dearer))
    listed = [{"name": t, "quantity": n, "price": price} for t, (n, price) in items.items()]
    document = {"customer": customer, "town": town, "date": day.isoformat(), "items": listed}
    total = {"total": sum(n * price for n, price in items.values())} if level >= 3 else {}
    return _document(document | total, message=" ".join(text))


def _table(rng: Random, level: int) -> Item:
    size, num_groups = ((3, 2), (4, 2), (6, 3), (9, 3), (12, 4))[level - 1]
    group, value, flag = rng.sample(NOUNS, 3)
    groups, values = rng.sample(COLOURS, num_groups), rng.sample(range(1, 100), size)
    rows = [
        (name, rng.choice(groups), number, rng.choice(("yes", "no")))
        for name, number in zip(people(rng, size), values, strict=True)
    ]
    low = rng.randint(10, 40)
    kept = [row for row in rows if level == 1 or row[2] >= low]
    kept = [row for row in kept if level <= 3 or row[3] == "yes"]
    if not kept:
        return _table(rng, level)
    members: dict[str, list[tuple[str, int]]] = {}
    for name, key, number, _ in sorted(kept, key=lambda row: -row[2]) if level >= 3 else kept:
        members.setdefault(key, []).append((name, number))
    document: dict[str, Any] = {key: [name for name, _ in pairs] for key, pairs in members.items()}
    form = "a list of the names, in the order of the table"
    order = f"by {value} from large to small"
    if level in (3, 4):
        form = f'a list of {{"name": name, "value": {value}}} {order}'
        for key, pairs in members.items():
            document[key] = [{"name": name, "value": number} for name, number in pairs]
    elif level == 5:
        form = f'{{"sum": the sum of {value}, "names": the names {order}}}'
        for key, pairs in members.items():
            document[key] = {"sum": sum(n for _, n in pairs), "names": document[key]}
    lines = [f"name;{group};{value};{flag}", *(";".join(map(str, row)) for row in rows)]
    slots = {"group": group, "value": value, "flag": flag, "low": low, "form": form}
    return _document(document, table="\n".join(lines), **slots)


def _edited(rng: Random, document: dict[str, Any], new: list[str], level: int) -> str:
    """Make a random edit to a document and return it in words."""
    inner = [key for key, value in document.items() if isinstance(value, dict)]
    key = rng.choice(inner if inner and rng.random() < 0.5 else [*document])
    value, number = document[key], rng.randint(2, 50)
    if isinstance(value, int):
        is_sum = rng.random() < 0.5
        document[key] = number + (value if is_sum else 0)
        return f"increase {key} by {number}" if is_sum else f"set {key} to {number}"
    if isinstance(value, dict) and rng.random() < 0.7:
        return f"inside {key}: {_edited(rng, value, new, level)}"
    if isinstance(value, list):
        kind = rng.choice(("reverse", "drop", "append")) if level >= 3 and value else "append"
        if kind == "append":
            value.append(number)
            return f"append {number} to {key}"
        document[key] = value[::-1] if kind == "reverse" else value[1:]
        change = "reverse the order of" if kind == "reverse" else "remove the first element of"
        return f"{change} {key}"
    name = new.pop()
    if level >= 3 and rng.random() < 0.5:
        document[name] = document.pop(key)
        return f"rename {key} to {name}"
    document[name] = number
    return f"add {name} with the value {number}"


def _edits(rng: Random, level: int) -> Item:
    depth, num_edits = ((0, 1), (1, 3), (2, 5), (2, 9), (3, 14))[level - 1]
    names = rng.sample(NOUNS, 60)
    document: dict[str, Any] = {}
    for place in range(depth + 1):
        numbers = [rng.randint(1, 40) for _ in range(rng.randint(2, 4))]
        inner = {names.pop(): document} if place else {}
        document = {names.pop(): rng.randint(1, 40), names.pop(): numbers, **inner}
    start = json.dumps(document)
    edits = [_edited(rng, document, names, level) for _ in range(num_edits)]
    return _document(document, start=start, edits=numbered(edits))


TASKS = read_tasks(
    "structured_output", order_extraction=_order, table_conversion=_table, document_edits=_edits
)
