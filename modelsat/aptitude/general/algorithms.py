"""Programs, state machines and rules that are carried out step by step."""

from contextlib import redirect_stdout
from io import StringIO
from random import Random

from modelsat.aptitude.general.task import Item, in_json, number, numbered, read_data, read_tasks
from modelsat.aptitude.general.words import invented

_DATA = read_data("algorithms")


def _printed(source: str) -> int:
    """Return the number that a program of this package prints."""
    output = StringIO()
    with redirect_stdout(output):
        exec(source, {})
    return int(output.getvalue())


def _program(rng: Random, level: int) -> Item:
    names = dict(zip("xyifk", invented(rng, 5), strict=True))
    ranges = {"a": (11, 99), "b": (11, 60), "c": (3, 6), "d": (3, 7), "e": (6, 9)}
    values = {name: rng.randint(*ends) for name, ends in ranges.items()}
    large = {"m": rng.randint(301, 997), "n": rng.randint(18, 30)}
    source = _DATA["sources"][level - 1].format(**names, **values, **large)
    return number(_printed(source), program=source)


def _machine(rng: Random, level: int) -> Item:
    num_states, num_inputs = ((3, 4), (4, 8), (5, 14), (6, 22), (7, 32))[level - 1]
    states, letters = (
        invented(rng, num_states),
        rng.sample("abcdefghjkmnpqrstuvwxyz", 2 + level // 3),
    )
    following = {
        (state, letter): rng.choice([other for other in states if other != state])
        for state in states
        for letter in letters
    }
    path, inputs = [states[0]], [rng.choice(letters) for _ in range(num_inputs)]
    for letter in inputs:
        path.append(following[path[-1], letter])
    lines = [
        f"{state}: " + ", ".join(f"{letter} -> {following[state, letter]}" for letter in letters)
        for state in rng.sample(states, num_states)
    ]
    slots = {"table": "\n".join(lines), "start": states[0], "inputs": " ".join(inputs)}
    return in_json(path[:-3:-1], **slots)


def _list_operations(rng: Random, level: int) -> Item:
    size, num_steps = ((4, 2), (5, 4), (6, 6), (7, 10), (9, 15))[level - 1]
    easy, hard = _DATA["operations"]["easy"], _DATA["operations"]["hard"]
    operations = (easy, easy + hard, easy + hard, hard, hard)[level - 1]
    start = values = [rng.randint(1, 30) for _ in range(size)]
    steps: list[str] = []
    while len(steps) < num_steps:
        (text, result), k, n = rng.choice(operations), rng.randint(2, 4), rng.randint(6, 17)
        if text.format(k=k, n=n) not in steps[-1:]:
            steps.append(text.format(k=k, n=n))
            values = eval(result.format(k=k, n=n), {"v": values})
    return in_json(values, start=start, steps=numbered(steps))


def _automaton(rng: Random, level: int) -> Item:
    width, num_steps = ((7, 1), (8, 2), (10, 3), (12, 5), (14, 8))[level - 1]
    on, off = rng.sample("#.ox*-+=@%", 2)
    around = [a + b + c for a in (on, off) for b in (on, off) for c in (on, off)]
    born = rng.sample(around, 4)
    start = row = "".join(rng.choice((on, off)) for _ in range(width))
    for _ in range(num_steps):
        ring = row[-1] + row + row[0]
        row = "".join(on if ring[i : i + 3] in born else off for i in range(width))
    return in_json(row, on=on, off=off, born=" or ".join(born), start=start)


TASKS = read_tasks(
    "algorithms",
    programs=_program,
    state_machines=_machine,
    list_operations=_list_operations,
    cell_patterns=_automaton,
)
