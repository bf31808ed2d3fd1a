"""Programs, state machines and rules that are carried out step by step."""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from random import Random

from modelsat.aptitude.general.task import (
    Item,
    in_json,
    number,
    numbered,
    read_data,
    read_tasks,
)
from modelsat.aptitude.general.words import invented

_SOURCES: Sequence[str] = read_data("algorithms")["sources"]


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
    source = _SOURCES[level - 1].format(**names, **values, **large)
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


Operation = tuple[str, Callable[[list[int]], list[int]]]


def _operations(rng: Random) -> tuple[Operation, ...]:
    """Return operations on a list of at least four numbers, the easy ones first."""
    k, n = rng.randint(2, 4), rng.randint(2, 9)
    return (
        ("reverse the list", lambda v: v[::-1]),
        (f"add {n} to every element", lambda v: [x + n for x in v]),
        ("swap the first and the last element", lambda v: [v[-1], *v[1:-1], v[0]]),
        (f"append {n}", lambda v: [*v, n]),
        (f"move the first {k} elements to the end, in the same order", lambda v: v[k:] + v[:k]),
        (
            f"replace each element by its remainder when divided by {n + 8}",
            lambda v: [x % (n + 8) for x in v],
        ),
        (
            "double every element at an odd position (the first position is 1)",
            lambda v: [x * (2 - i % 2) for i, x in enumerate(v)],
        ),
        (
            "append the difference of the largest and the smallest element",
            lambda v: [*v, max(v) - min(v)],
        ),
        (
            "remove the first occurrence of the smallest element and append 50",
            lambda v: [*(x for i, x in enumerate(v) if i != v.index(min(v))), 50],
        ),
        (
            "add to every element but the first the element before it, as it was before this step",
            lambda v: [v[0], *(a + b for a, b in pairwise(v))],
        ),
        ("sort the first four elements in ascending order", lambda v: sorted(v[:4]) + v[4:]),
    )


def _list_operations(rng: Random, level: int) -> Item:
    size, num_steps = ((4, 2), (5, 4), (6, 6), (7, 10), (9, 15))[level - 1]
    start = values = [rng.randint(1, 30) for _ in range(size)]
    steps: list[str] = []
    while len(steps) < num_steps:
        operations = _operations(rng)[slice(*((4,), (11,), (11,), (4, 11), (4, 11))[level - 1])]
        text, apply = rng.choice(operations)
        if text not in steps[-1:]:
            values = apply(values)
            steps.append(text)
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
