"""Facts in tables, records and reports, among others that do not matter."""

from itertools import pairwise
from random import Random

from modelsat.aptitude.general.task import Item, Task, number_item, tasks_of
from modelsat.aptitude.general.words import COLOURS, GOODS, NOUNS, PLACES, people


def _table(rng: Random, level: int) -> Item:
    size = (4, 6, 9, 12, 14)[level - 1]
    first, second = rng.sample(NOUNS, 2)
    towns, colours = rng.sample(PLACES, 3), rng.sample(COLOURS, 3)
    fees = {town: rng.randint(2, 30) for town in towns}
    rows = [
        (who, rng.choice(towns), rng.choice(colours), rng.randint(1, 99), rng.randint(1, 99))
        for who in people(rng, size)
    ]
    town, colour, low = rng.choice(towns), rng.choice(colours), rng.randint(20, 60)
    if level == 1:
        who, _, _, value, _ = rng.choice(rows)
        question, answer = f"What is the {first} of {who}?", value
    elif level == 2:
        question = f"What is the sum of {first} over all rows of {town}?"
        answer = sum(row[3] for row in rows if row[1] == town)
    elif level == 3:
        question = f"What is the sum of {first} over the rows whose colour is {colour} or whose {second} is above {low}?"
        answer = sum(row[3] for row in rows if row[2] == colour or row[4] > low)
    else:
        kept = [row for row in rows if row[1] != town and (row[3] > row[4] or row[2] == colour)]
        question = (
            f"Leave out the rows of {town}. Of the others, take those whose {first} is above their "
            f"{second}, and those whose colour is {colour}. "
        )
        if level == 4:
            question += f"What is the sum of {first} minus the sum of {second} over these rows?"
            answer = sum(row[3] - row[4] for row in kept)
        else:
            charges = "; ".join(f"{name}: {fee}" for name, fee in fees.items())
            question += (
                f"For each of them, multiply {first} by the fee of its town ({charges}). What is the sum "
                "of these products?"
            )
            answer = sum(row[3] * fees[row[1]] for row in kept)
    lines = [f"| name | town | colour | {first} | {second} |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    table = "\n".join(lines)
    return number_item(f"{table}\n{question}", answer)


_ROLES = tuple("mentor manager deputy dentist coach editor landlord lawyer".split())


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
    rng.shuffle(sentences)
    return Item(
        f"{' '.join(sentences)}\nWho is {asked}? Answer with the name alone.", who[num_hops], "text"
    )


def _ledger(rng: Random, level: int) -> Item:
    num_entries, num_goods = ((3, 1), (5, 2), (8, 3), (12, 3), (16, 4))[level - 1]
    goods, stores = rng.sample(GOODS, num_goods), rng.sample(PLACES, 2)
    kinds = ("in", "out", "move", "void", "wrong", "void")[: level + 1]
    changes: list[list[tuple[str, str, int]]] = []  # what each entry changes: thing, store, number
    lines = []
    for place in range(num_entries):
        thing, number = rng.choice(goods), rng.randint(3, 90)
        store, other = rng.sample(stores, 2)
        kind = rng.choice(kinds)
        earlier = [i for i, change in enumerate(changes) if change]
        old = rng.choice(earlier or [0])
        if kind == "void" and earlier:
            text, entry, changes[old] = f"entry {old + 1} never happened", [], []
        elif kind == "wrong" and earlier:
            text, entry = f"the number in entry {old + 1} should have been {number}", []
            changes[old] = [(t, s, number if n > 0 else -number) for t, s, n in changes[old]]
        elif kind == "out":
            text, entry = f"{number} {thing} left {store}", [(thing, store, -number)]
        elif kind == "move":
            text = f"{number} {thing} were moved from {store} to {other}"
            entry = [(thing, store, -number), (thing, other, number)]
        else:
            text, entry = f"{number} {thing} arrived in {store}", [(thing, store, number)]
        changes.append(entry)
        lines.append(f"{place + 1}. {text}")
    start = {(thing, store): rng.randint(200, 900) for thing in goods for store in stores}
    thing, store = rng.choice(goods), stores[0]
    total = start[thing, store] + sum(
        n for entry in changes for t, s, n in entry if (t, s) == (thing, store)
    )
    opening = "; ".join(f"{n} {t} in {s}" for (t, s), n in start.items())
    entries = "\n".join(lines)
    return number_item(
        f"Stock at the start: {opening}. Entries of the log:\n{entries}\nHow many {thing} are in {store} "
        "at the end?",
        total,
    )


TASKS: tuple[Task, ...] = tasks_of(
    "documents",
    {
        "table_queries": (_table, "table, filtering, sums, rows, lookup"),
        "linked_facts": (_hops, "reading, facts, relations, multi-hop, retrieval"),
        "corrected_logs": (_ledger, "log, corrections, stock, bookkeeping, reading"),
    },
)
