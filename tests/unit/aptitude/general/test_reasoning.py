"""Logic, algorithms, space and planning: the answers, worked out in another way."""

import heapq
import re
from itertools import permutations, product

from tests.support.general_questions import drawn, in_answer, names, numbers


def first_match(patterns, text):
    """The value of the first pattern that a whole text matches, and its groups."""
    for pattern, value in patterns.items():
        found = re.fullmatch(pattern, text)
        if found:
            return value, found.groups()
    raise AssertionError(text)


def says(text, me):
    """A statement of an islander as a condition on the set of knights."""
    patterns = {
        r"(\w+) is a knight\.": lambda k, x: x in k,
        r"(\w+) is a knave\.": lambda k, x: x not in k,
        r"(\w+) and (\w+) are of the same kind\.": lambda k, x, y: (x in k) == (y in k),
        r"(\w+) and (\w+) are of different kinds\.": lambda k, x, y: (x in k) != (y in k),
        r"Exactly (\d) of us (?:is a knight|are knights)\.": lambda k, n: len(k) == int(n),
        r"If (\w+) is a knight, then (\w+) (?:is|am) a (\w+)\.": lambda k, x, y, kind: (
            x not in k or (y in k) == (kind == "knight")
        ),
        r"(\w+) is a (\w+) or (\w+) (?:is|am) a knave, or both\.": lambda k, x, kind, y: (
            (x in k) == (kind == "knight") or y not in k
        ),
    }
    holds, words = first_match(patterns, text)
    return lambda knights: holds(knights, *(me if word == "I" else word for word in words))


def test_knights_and_knaves():
    for _, slots, item, _ in drawn("knights_and_knaves"):
        said = dict(re.findall(r'(\w+): "(.*)"', slots["speeches"]))
        assert [*said] == names(slots["people"])
        solutions = [
            sorted(knights)
            for kinds in product((True, False), repeat=len(said))
            if (knights := {n for n, is_knight in zip(said, kinds, strict=True) if is_knight})
            is not None
            and all(says(text, name)(knights) == (name in knights) for name, text in said.items())
        ]
        assert solutions == [in_answer(item)]


def test_race_order():
    patterns = {
        r"(\w+) finished before (\w+)": lambda r, x, y: r.index(x) < r.index(y),
        r"(\w+) finished directly after (\w+)": lambda r, x, y: r.index(x) == r.index(y) + 1,
        r"Exactly (\w+) runners? finished between (\w+) and (\w+)": lambda r, n, x, y: (
            abs(r.index(x) - r.index(y)) == (1 if n == "one" else int(n)) + 1
        ),
        r"(\w+) did not finish in place (\d)": lambda r, x, n: r[int(n) - 1] != x,
        r"(\w+) and (\w+) did not finish one directly after the other": lambda r, x, y: (
            abs(r.index(x) - r.index(y)) != 1
        ),
    }
    for _, slots, item, _ in drawn("race_order"):
        clues = [first_match(patterns, text) for text in slots["clues"].strip(".").split(". ")]
        solutions = [
            [*order]
            for order in permutations(names(slots["people"]))
            if all(holds(order, *words) for holds, words in clues)
        ]
        assert solutions == [in_answer(item)]


def test_house_puzzles():
    noun = r"(?:the person with the )?(?:the )?(\w+)(?: door| owner| drinker)?"
    patterns = {
        f"{noun} is {noun}": lambda at, x, y: at[x] == at[y],
        f"{noun} lives directly left of {noun}": lambda at, x, y: at[x] + 1 == at[y],
        f"{noun} lives in house (\\d)": lambda at, x, n: at[x] == int(n),
        f"{noun} and {noun} live next to each other": lambda at, x, y: abs(at[x] - at[y]) == 1,
        f"{noun} does not live in house (\\d)": lambda at, x, n: at[x] != int(n),
        f"{noun} lives somewhere to the right of {noun}": lambda at, x, y: at[x] > at[y],
    }
    for _, slots, item, _ in drawn("house_puzzles", 2):
        groups = [part.split(": ")[1].split(", ") for part in slots["legend"].split("; ")]
        lines = [text[0].lower() + text[1:].strip(".") for text in slots["clues"].splitlines()]
        groups = [[word.lower() for word in group] for group in groups]
        clues = [first_match(patterns, line.lower()) for line in lines]
        solutions = set()
        for orders in product(*(permutations(group) for group in groups)):
            at = {word: place for order in orders for place, word in enumerate(order, 1)}
            if all(holds(at, *words) for holds, words in clues):
                solutions.add(orders[0])
        assert solutions == {tuple(name.lower() for name in in_answer(item))}


def test_deduction():
    patterns = {
        r"Everything that is both an? (\w+) and an? (\w+) is an? (\w+)": lambda m, x, y, z: (
            not (x in m and y in m) or z in m
        ),
        r"Everything that is not an? (\w+) is an? (\w+)": lambda m, x, y: x in m or y in m,
        r"Every (\w+) is an? (\w+) or an? (\w+), or both": lambda m, x, y, z: (
            x not in m or y in m or z in m
        ),
        r"Every (\w+) is an? (\w+)": lambda m, x, y: x not in m or y in m,
        r"No (\w+) is an? (\w+)": lambda m, x, y: x not in m or y not in m,
        r"\w+ is a (\w+)": lambda m, x: x in m,
        r"\w+ is not a (\w+)": lambda m, x: x not in m,
    }
    for level, slots, item, _ in drawn("deduction"):
        texts = [text for text in f"{slots['rules']} {slots['fact']}".split(".") if text.strip()]
        premises = [first_match(patterns, text.strip()) for text in texts]
        words = sorted({word for _, group in premises for word in group})
        models = [
            model
            for values in product((True, False), repeat=len(words))
            if (model := {w for w, is_in in zip(words, values, strict=True) if is_in}) is not None
            and all(holds(model, *group) for holds, group in premises)
        ]
        truths = []
        for option in (item.answer, *item.wrong):
            holds, group = first_match(patterns, option.strip("."))
            truths.append({holds(model, *group) for model in models})
        assert truths == [{True}, *[{True, False}] * 3], level


def test_programs():
    for _, slots, item, _ in drawn("programs"):
        printed = []
        exec(slots["program"], {"print": printed.append})
        assert printed == [int(item.answer)]


def test_state_machines():
    for _, slots, item, _ in drawn("state_machines"):
        table = {}
        for line in slots["table"].splitlines():
            state, _, moves = line.partition(": ")
            table[state] = dict(move.split(" -> ") for move in moves.split(", "))
        states = [slots["start"]]
        for symbol in slots["inputs"].split():
            states.append(table[states[-1]][symbol])
        assert in_answer(item) == [states[-1], states[-2]]


def apply_step(text, v):
    """Carry out one step of `list_operations` in place."""
    n = numbers(text)
    smallest, largest = min(v), max(v)
    if text == "Reverse the list.":
        v.reverse()
    elif text.startswith("Add to every element but the first"):
        for i in range(len(v) - 1, 0, -1):
            v[i] += v[i - 1]
    elif text.startswith("Add "):
        v[:] = [x + n[0] for x in v]
    elif text.startswith("Swap"):
        v[0], v[-1] = v[-1], v[0]
    elif text.startswith("Append the difference"):
        v.append(largest - smallest)
    elif text.startswith("Append"):
        v.append(n[0])
    elif text.startswith("Move"):
        for _ in range(n[0]):
            v.append(v.pop(0))
    elif text.startswith("Replace"):
        v[:] = [x % n[0] for x in v]
    elif text.startswith("Double"):
        for i in range(0, len(v), 2):
            v[i] += v[i]
    elif text.startswith("Remove"):
        v.remove(smallest)
        v.append(50)
    else:
        assert text == "Sort the first four elements in ascending order."
        v[:4] = sorted(v[:4])


def test_list_operations():
    for _, slots, item, _ in drawn("list_operations"):
        values = list(slots["start"])
        for line in slots["steps"].splitlines():
            apply_step(line.split(". ", 1)[1], values)
        assert in_answer(item) == values


def test_cell_patterns():
    counts = dict(zip(range(1, 6), (1, 2, 3, 5, 8), strict=True))
    for level, slots, item, _ in drawn("cell_patterns"):
        born = slots["born"].split(" or ")
        row = list(slots["start"])
        for _ in range(counts[level]):
            around = [row[i - 1] + row[i] + row[(i + 1) % len(row)] for i in range(len(row))]
            row = [slots["on"] if cells in born else slots["off"] for cells in around]
        assert in_answer(item) == "".join(row)


def test_robot_walks():
    for level, slots, item, _ in drawn("robot_walks"):
        here = complex(*slots["start"])
        facing = {"north": 1j, "east": 1, "south": -1j, "west": -1}[slots["facing"]]
        for move in slots["moves"].split("; "):
            turn = {"turn left": 1j, "turn right": -1j, "turn around": -1}.get(move)
            if turn:
                facing *= turn
                continue
            here += facing * numbers(move)[0] * (-1 if move.startswith("backward") else 1)
            if level == 5 and here.real < slots["lowest"]:
                here = complex(-here.real, here.imag)
        assert in_answer(item) == [here.real, here.imag]


def test_rolling_cubes():
    """Faces are vectors; a roll to the north turns up to north, north to down, and so on."""
    vectors = {"top": (0, 0, 1), "bottom": (0, 0, -1), "north": (0, 1, 0), "south": (0, -1, 0)}
    vectors |= {"east": (1, 0, 0), "west": (-1, 0, 0)}
    turns = {
        "north": lambda x, y, z: (x, z, -y),
        "south": lambda x, y, z: (x, -z, y),
        "east": lambda x, y, z: (z, y, -x),
        "west": lambda x, y, z: (-z, y, x),
    }
    for _, slots, item, _ in drawn("rolling_cubes"):
        cube = {c: vectors[f] for c, f in re.findall(r"(\w+) \((\w+)\)", slots["faces"])}
        for roll in slots["rolls"].split(", "):
            way, *times = roll.split()
            for _ in range(int(times[0]) if times else 1):
                cube = {colour: turns[way](*vector) for colour, vector in cube.items()}
        side = {vector: colour for colour, vector in cube.items()}
        assert in_answer(item) == [side[vectors[face]] for face in ("top", "north", "east")]


def test_painted_areas():
    for _, slots, item, _ in drawn("painted_areas"):
        parts = [(numbers(line)[1:], line.split(": ")[1]) for line in slots["parts"].splitlines()]
        count = 0
        for x, y in product(range(40), repeat=2):
            top = [c for (a, b, low, high), c in parts if a <= x <= b and low <= y <= high][-1:]
            count += top == [slots["colour"] + "."]
        assert count == int(item.answer)


def test_shortest_routes():
    for _, slots, item, _ in drawn("shortest_routes"):
        roads = {}
        for a, way, b, km in re.findall(r"(\w+) (-|to) (\w+): (\d+) km", slots["roads"]):
            roads.setdefault(a, []).append((b, int(km)))
            if way == "-":
                roads.setdefault(b, []).append((a, int(km)))
        stops = slots["via"].removeprefix(" that visits ").removesuffix(", in any order,")
        wanted = frozenset(names(stops)) if stops else frozenset()
        queue, done = [(0, slots["start"], frozenset())], set()
        while True:
            length, place, seen = heapq.heappop(queue)
            seen |= {place} & wanted
            if place == slots["goal"] and seen == wanted:
                break
            if (place, seen) not in done:
                done.add((place, seen))
                for other, km in roads.get(place, ()):
                    heapq.heappush(queue, (length + km, other, seen))
        assert length == int(item.answer)


def test_schedules():
    """Every order of all jobs is tried; each starts as early as the order lets it."""
    for level, slots, item, _ in drawn("schedules", 2):
        jobs, before = {}, {}
        for line in slots["jobs"].splitlines():
            job, hours, after = re.fullmatch(r"- (\w): (\d+) hours(?:, after (.*))?", line).groups()
            jobs[job], before[job] = int(hours), names(after) if after else []
        shared = names(slots["machine"]) if level >= 4 else []
        best = sum(jobs.values())
        for order in permutations(jobs):
            ends, free = {}, 0
            for job in order:
                if any(other not in ends for other in before[job]):
                    break
                start = max([ends[other] for other in before[job]] + [free * (job in shared)])
                ends[job] = start + jobs[job]
                free = ends[job] if job in shared else free
            else:
                best = min(best, max(ends.values()))
        assert best == int(item.answer)


def test_best_selections():
    for _, slots, item, _ in drawn("best_selections"):
        found = re.findall(r"- (\w+): (\d+) kg, (\d+) coins", slots["parcels"])
        parcels = [(name, int(kg), int(coins)) for name, kg, coins in found]
        clashes = re.findall(r"The (\w+) and the (\w+) must not both", slots["rules"])

        def best(left, limit, taken, clashes=clashes):
            if not left:
                return 0
            (name, kg, coins), *rest = left
            value = best(rest, limit, taken)
            is_free = not any({name, other} in map(set, clashes) for other in taken)
            if kg <= limit and is_free:
                value = max(value, coins + best(rest, limit - kg, [*taken, name]))
            return value

        assert best(parcels, slots["limit"], []) == int(item.answer)
