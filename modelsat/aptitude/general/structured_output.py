"""JSON documents: fields of a message, tables as documents, and edits of a document."""

import json
from datetime import date, timedelta
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, tasks_of
from modelsat.aptitude.general.words import COLOURS, GOODS, NOUNS, PLACES, people

_TYPES = {bool: "boolean", int: "integer", str: "string"}


def schema_of(value: Any) -> dict[str, Any]:
    """Return a JSON Schema with the types and the keys of a document."""
    if isinstance(value, dict):
        fields = {key: schema_of(member) for key, member in value.items()}
        closed = {"required": [*value], "additionalProperties": False}
        return {"type": "object", "properties": fields, **closed}
    if isinstance(value, list):
        return {"type": "array"}
    return {"type": _TYPES[type(value)]}


def document_item(question: str, document: Any) -> Item:
    """Return a question whose answer is a JSON document."""
    ending = "Answer with the JSON document alone."
    args = {"schema": schema_of(document)}
    return Item(f"{question}\n{ending}", json.dumps(document), "json_schema", args)


def _day(value: date) -> str:
    return f"{value.day} {value:%B} {value.year}"


def _order(rng: Random, level: int) -> Item:
    size, num_changes = ((1, 0), (2, 1), (3, 2), (4, 4), (6, 6))[level - 1]
    who, other = people(rng, 2)
    goods = rng.sample(GOODS, size)
    items = {thing: [rng.randint(2, 60), rng.randint(3, 99)] for thing in goods}
    day = date(2026, 1, 1) + timedelta(days=rng.randrange(2000))
    place, elsewhere = rng.sample(PLACES, 2)
    lines = [f"{n} {thing} at {price} coins each" for thing, (n, price) in items.items()]
    text = [
        f"{who} here, writing from {elsewhere}. Please send {'; '.join(lines)}.",
        f"Deliver to {place} on {_day(day)}.",
    ]
    for _ in range(num_changes):
        thing = rng.choice([*items])
        kind = rng.choice(("number", "price", "more", "day", "drop", "noise"))
        if kind == "number":
            items[thing][0] = rng.randint(2, 60)
            text.append(f"Make that {items[thing][0]} {thing} in all.")
        elif kind == "more":
            added = rng.randint(2, 20)
            items[thing][0] += added
            text.append(f"Add {added} more {thing}.")
        elif kind == "price":
            items[thing][1] += 2
            text.append(f"Your list says that {thing} now cost 2 coins more each; that is fine.")
        elif kind == "day":
            day += timedelta(days=rng.randint(2, 9))
            text.append(f"Deliver on {_day(day)} instead.")
        elif kind == "drop" and len(items) > 1:
            del items[thing]
            text.append(f"We no longer need any {thing}.")
        else:
            text.append(
                f"{other} once ordered {rng.randint(61, 99)} {thing} and was happy with them."
            )
    document: dict[str, Any] = {
        "customer": who,
        "town": place,
        "date": day.isoformat(),
        "items": [{"name": t, "quantity": n, "price": price} for t, (n, price) in items.items()],
    }
    if level >= 3:
        document["total"] = sum(n * price for n, price in items.values())
    total = ', "total": coins for everything' if level >= 3 else ""
    return document_item(
        f"Message: {' '.join(text)}\nExtract the final order as JSON with this form: "
        '{"customer": name, "town": place of delivery, "date": "YYYY-MM-DD", "items": [{"name": as in '
        'the message, "quantity": number, "price": coins for one}, ...] in the order in which they are '
        f"first named{total}}}.",
        document,
    )


def _table(rng: Random, level: int) -> Item:
    size = (3, 4, 6, 9, 12)[level - 1]
    group, value, flag = rng.sample(NOUNS, 3)
    groups = rng.sample(COLOURS, (2, 2, 3, 3, 4)[level - 1])
    rows = [
        (who, rng.choice(groups), rng.randint(1, 99), rng.choice(("yes", "no")))
        for who in people(rng, size)
    ]
    low = rng.randint(10, 40)
    kept = [row for row in rows if level == 1 or row[2] >= low]
    kept = [row for row in kept if level < 4 or row[3] == "yes"]
    lines = [f"name;{group};{value};{flag}", *(";".join(map(str, row)) for row in rows)]
    document: dict[str, Any] = {}
    for who, colour, points, _ in sorted(kept, key=lambda row: -row[2]) if level >= 3 else kept:
        document.setdefault(colour, []).append(
            {"name": who, "value": points} if level >= 3 else who
        )
    if level == 5:
        document = {
            colour: {
                "first": members[0]["name"],
                "sum": sum(m["value"] for m in members),
                "names": [m["name"] for m in members],
            }
            for colour, members in document.items()
        }
    if len({row[2] for row in rows}) < size or not document:
        return _table(rng, level)
    conditions = [f"{value} is at least {low}"] * (level >= 2) + [f"{flag} is yes"] * (level >= 4)
    which = f" whose {' and whose '.join(conditions)}" if conditions else ""
    order = f"by {value} from large to small" if level >= 3 else "in the order of the table"
    member = {3: '{"name": name, "value": number}', 4: '{"name": name, "value": number}'}.get(
        level, "name"
    )
    form = f"a list of {member} for its rows, {order}"
    if level == 5:
        form = (
            f'{{"first": the name with the largest {value}, "sum": the sum of {value}, "names": all '
            f"names, {order}}} for its rows"
        )
    table = "\n".join(lines)
    return document_item(
        f"{table}\nConvert the rows of this table{which} to one JSON object. Its keys are the values of "
        f"{group} that occur in these rows, and each key has as its value {form}.",
        document,
    )


def _edited(rng: Random, document: dict[str, Any], new: list[str], level: int) -> str:
    """Make one random edit to a document and return it in words."""
    inner = [key for key, value in document.items() if isinstance(value, dict)]
    key = rng.choice(inner if inner and rng.random() < 0.5 else [*document])
    value, number = document[key], rng.randint(2, 50)
    if isinstance(value, int):
        if rng.random() < 0.5:
            document[key] += number
            return f"increase {key} by {number}"
        document[key] = number
        return f"set {key} to {number}"
    if isinstance(value, dict) and value and rng.random() < 0.7:
        return f"inside {key}: {_edited(rng, value, new, level)}"
    if isinstance(value, list):
        kind = rng.choice(
            ("append", "reverse", "first") if level >= 3 and len(value) > 1 else ("append",)
        )
        if kind == "append":
            value.append(number)
            return f"append {number} to {key}"
        if kind == "reverse":
            value.reverse()
            return f"reverse the order of {key}"
        del value[0]
        return f"remove the first element of {key}"
    name = new.pop()
    if level >= 3 and rng.random() < 0.5:
        document[name] = document.pop(key)
        return f"rename {key} to {name}"
    document[name] = number
    return f"add {name} with the value {number}"


def _edits(rng: Random, level: int) -> Item:
    depth, num_edits = ((1, 1), (1, 3), (2, 5), (2, 9), (3, 14))[level - 1]
    names = rng.sample(NOUNS, 60)

    def part(depth: int) -> dict[str, Any]:
        inner: dict[str, Any] = {
            names.pop(): rng.randint(1, 40),
            names.pop(): [rng.randint(1, 40) for _ in range(rng.randint(2, 4))],
        }
        return inner | ({names.pop(): part(depth - 1)} if depth else {})

    document = part(depth)
    start = json.dumps(document)
    lines = [_edited(rng, document, names, level) for _ in range(num_edits)]
    edits = "\n".join(f"{i}. {text[0].upper()}{text[1:]}." for i, text in enumerate(lines, 1))
    return document_item(
        f"Here is a JSON document:\n{start}\nMake these changes, one after the other:\n{edits}\n"
        "Keys that are not named stay as they are. What is the document then?",
        document,
    )


TASKS = tasks_of(
    "structured_output",
    {
        "order_extraction": (_order, "json, extraction, fields, orders, schema"),
        "table_conversion": (_table, "json, table, conversion, grouping, filtering"),
        "document_edits": (_edits, "json, editing, nested document, changes, keys"),
    },
)
