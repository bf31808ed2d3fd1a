"""Facts in tables, records and reports, among others that do not matter."""

from itertools import pairwise
from random import Random

from modelsat.aptitude.general.task import Item, number, numbered, read_tasks
from modelsat.aptitude.general.words import COLOURS, GOODS, NOUNS, PLACES, people

_ROLES = "mentor manager deputy dentist coach editor landlord lawyer".split()


def _table(rng: Random, level: int) -> Item:
    (first, second), size = rng.sample(NOUNS, 2), (4, 6, 9, 12, 14)[level - 1]
    towns, colours = rng.sample(PLACES, 3), rng.sample(COLOURS, 3)
    fees = {town: rng.randint(2, 30) for town in towns}
    rows = [
        (who, rng.choice(towns), rng.choice(colours), rng.randint(1, 99), rng.randint(1, 99))
        for who in people(rng, size)
    ]
    person, town, colour, _, _ = rng.choice(rows)
    low = rng.randint(20, 60)
    kept = [row for row in rows if row[1] != town and (row[3] > row[4] or row[2] == colour)]
    answer = (
        sum(row[3] for row in rows if row[0] == person),
        sum(row[3] for row in rows if row[1] == town),
        sum(row[3] for row in rows if row[2] == colour or row[4] > low),
        sum(row[3] - row[4] for row in kept),
        sum(row[3] * fees[row[1]] for row in kept),
    )[level - 1]
    lines = [f"| name | town | colour | {first} | {second} |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    asked = {"first": first, "second": second, "person": person, "town": town, "colour": colour}
    charges = ", ".join(f"{name}: {fee}" for name, fee in fees.items())
    return number(answer, table="\n".join(lines), low=low, fees=charges, **asked)


def _hops(rng: Random, level: int) -> Item:
    num_hops, num_people = ((1, 5), (2, 6), (3, 8), (4, 10), (6, 12))[level - 1]
    who = people(rng, num_people)
    asked, facts = who[0], {}
    for person, following in pairwise(who[: num_hops + 1]):
        role = rng.choice(_ROLES)
        facts[person, role] = following
        asked = f"the {role} of {asked}"
    while len(facts) < 3 * num_hops + 3:
        person, other = rng.sample(who, 2)
        facts.setdefault((person, rng.choice(_ROLES)), other)
    sentences = [f"The {role} of {person} is {other}." for (person, role), other in facts.items()]
    text = " ".join(rng.sample(sentences, len(sentences)))
    ending = "Answer with the name alone."
    return Item(who[num_hops], {"facts": text, "asked": asked}, "text", ending)


def _ledger(rng: Random, level: int) -> Item:
    num_entries, num_goods = ((3, 1), (5, 2), (8, 2), (12, 3), (16, 3))[level - 1]
    goods, stores = rng.sample(GOODS, num_goods), rng.sample(PLACES, 2)
    kinds = ("in", "out", "move", "void", "wrong", "in", "out", "move")[
        : (2, 3, 4, 8, 8)[level - 1]
    ]
    changes: list[dict[tuple[str, str], int]] = []  # of each entry: number by goods and store
    lines: list[str] = []
    touched: list[tuple[str, str]] = []
    for _ in range(num_entries):
        thing, amount, kind = rng.choice(goods), rng.randint(3, 90), rng.choice(kinds)
        store, other = rng.sample(stores, 2)
        earlier = [place for place, change in enumerate(changes) if change]
        old = rng.choice(earlier or [0])
        change = {(thing, store): amount}
        text = f"{amount} {thing} arrived in {store}"
        if kind == "void" and earlier:
            text, change, changes[old] = f"entry {old + 1} never happened", {}, {}
        elif kind == "wrong" and earlier:
            text, change = f"the number in entry {old + 1} should have been {amount}", {}
            changes[old] = {key: amount if n > 0 else -amount for key, n in changes[old].items()}
        elif kind == "out":
            text, change = f"{amount} {thing} left {store}", {(thing, store): -amount}
        elif kind == "move":
            text = f"{amount} {thing} were moved from {store} to {other}"
            change = {(thing, store): -amount, (thing, other): amount}
        changes.append(change)
        touched += change
        lines.append(text)
    thing, store = asked = max(sorted({*touched}), key=touched.count)
    stock = {(name, place): rng.randint(200, 900) for name in goods for place in stores}
    total = stock[asked] + sum(change.get(asked, 0) for change in changes)
    shown = ", ".join(f"{n} {name} in {place}" for (name, place), n in stock.items())
    return number(total, stock=shown, entries=numbered(lines), thing=thing, store=store)


TASKS = read_tasks("documents", table_queries=_table, linked_facts=_hops, corrected_logs=_ledger)
