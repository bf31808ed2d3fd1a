"""Facts in tables, records and reports, among others that do not matter."""

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
            f"Take the rows that are not of {town} and whose {first} is above their {second} or whose "
            f"colour is {colour} (or both). "
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


# A relation of one person to another, as a statement and as a question.
_RELATIONS = (
    ("{0} reports to {1}", "the person to whom {0} reports"),
    (
        "{0} shares an office with {1}, who shares it with nobody else",
        "the person who shares an office with {0}",
    ),
    ("the mentor of {0} is {1}", "the mentor of {0}"),
    ("{0} has lent a key to {1}", "the person to whom {0} has lent a key"),
    ("{0} calls {1} in an emergency", "the person whom {0} calls in an emergency"),
)


def _hops(rng: Random, level: int) -> Item:
    num_hops, num_people = ((1, 4), (2, 6), (3, 8), (4, 10), (6, 12))[level - 1]
    who = people(rng, num_people)
    relations = [relation for relation in _RELATIONS if "office" not in relation[0]]
    path, asked, facts = [who[0]], who[0], {}
    for following in who[1 : num_hops + 1]:
        statement, noun = rng.choice(relations)
        facts[path[-1], statement] = following
        asked = noun.format(asked)
        path.append(following)
    while len(facts) < 3 * num_hops + 2:
        statement, _ = rng.choice(relations)
        person, other = rng.sample(who, 2)
        facts.setdefault((person, statement), other)
    sentences = [statement.format(person, other) for (person, statement), other in facts.items()]
    rng.shuffle(sentences)
    report = " ".join(f"{text[0].upper()}{text[1:]}." for text in sentences)
    return Item(f"{report}\nWho is {asked}? Answer with the name alone.", path[-1], "text")


def _ledger(rng: Random, level: int) -> Item:
    num_entries, num_goods = ((3, 1), (5, 2), (8, 3), (12, 3), (16, 4))[level - 1]
    goods, stores = rng.sample(GOODS, num_goods), rng.sample(PLACES, 2)
    changes: list[list[tuple[str, str, int]]] = []  # what each entry changes: thing, store, number
    lines = []
    for place in range(num_entries):
        thing, store = rng.choice(goods), rng.choice(stores[: 1 + (level >= 3)])
        number = rng.randint(3, 90)
        kind = rng.choice(
            ("in", "out", "in", "move", "void", "wrong")[: 2 if level == 1 else 3 + level - 2]
        )
        entry = [(thing, store, number)]
        text = f"{number} {thing} arrived in {store}"
        if kind == "out":
            entry, text = [(thing, store, -number)], f"{number} {thing} left {store}"
        elif kind == "move" and level >= 3:
            other = stores[store == stores[0]]
            entry = [(thing, store, -number), (thing, other, number)]
            text = f"{number} {thing} were moved from {store} to {other}"
        elif kind == "void" and place:
            undone = rng.randrange(place)
            text, entry, changes[undone] = f"entry {undone + 1} is void; it never happened", [], []
        elif kind == "wrong" and place:
            wrong = rng.randrange(place)
            old = changes[wrong]
            text = f"the number of entry {wrong + 1} was wrong; if that entry moves goods, {number} is right"
            changes[wrong] = [(t, s, number if n > 0 else -number) for t, s, n in old]
            entry = []
        changes.append(entry)
        lines.append(f"{place + 1}. {text}.")
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
