"""Programs, state machines and rules that are carried out step by step."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from random import Random

from modelsat.aptitude.general.task import Item, json_item, number_item, tasks_of
from modelsat.aptitude.general.words import NAMES, invented

_PROGRAMS = (
    """\
{x} = {a}
{y} = {b}
{x} = {x} * {c} - {y}
{y} = {x} + {d}
print({x} + {y})""",
    """\
{x} = {a}
for {i} in range({c}):
    {x} = {x} + {i} * {d} - {b}
print({x})""",
    """\
{x}, {y} = {a}, {b}
for {i} in range(1, {c} + 4):
    if {x} % {d} == 0:
        {x} = {x} // {d} + {i}
    else:
        {x} = {x} + {y} * {i}
    {y} = {y} + {x} % 7
print({x} * 10 + {y})""",
    """\
{x} = [{a}, {b}, {c}, {d}, {e}]
for {i} in range({c} + 3):
    {y} = {x}.pop({i} % len({x}))
    if {y} % 2 == 0:
        {x}.append({y} // 2 + {i})
    else:
        {x}.insert(0, {y} + {d})
    if {y} > {b}:
        {x}[1], {x}[-1] = {x}[-1], {x}[1]
print(sum({i} * {y} for {i}, {y} in enumerate({x})))""",
    """\
def {f}({x}, {y}):
    if {x} < {d}:
        return {y} + {x}
    if {x} % {c} == {y} % {c}:
        return {f}({x} - {d}, {y} + 1) * 2 - {y}
    return {f}({x} // 2, {y} + {x} % 3) + {f}({x} - {d} - 1, {y} + 2)

{i} = [{f}({n}, {k}) for {k} in range(3)]
while len({i}) < {c} + 6:
    {i}.append(({i}[-1] * {e} + {i}[-3]) % {m})
print({i}[-1] * 1000 + sum({i}[3:]) % 1000)""",
)


def _printed(source: str) -> str:
    """Return what a program of this module prints."""
    output = StringIO()
    with redirect_stdout(output):
        exec(source, {})
    return output.getvalue().strip()


def _program(rng: Random, level: int) -> Item:
    names = dict(zip("xyifk", rng.sample(invented(rng, 9), 5), strict=True))
    source = _PROGRAMS[level - 1].format(
        a=rng.randint(11, 99),
        b=rng.randint(11, 60),
        c=rng.randint(3, 6),
        d=rng.randint(3, 7),
        e=rng.randint(11, 49),
        m=rng.randint(301, 997),
        n=rng.randint(18, 30),
        **names,
    )
    return number_item(
        f"What does this Python program print?\n```python\n{source}\n```", int(_printed(source))
    )


def _machine(rng: Random, level: int) -> Item:
    num_states, num_inputs = ((3, 4), (4, 8), (5, 14), (6, 22), (7, 32))[level - 1]
    states, inputs = (
        invented(rng, num_states),
        rng.sample("abcdefghjkmnpqrstuvwxyz", 2 + level // 3),
    )
    following = {(s, i): rng.choice([t for t in states if t != s]) for s in states for i in inputs}
    word = [rng.choice(inputs) for _ in range(num_inputs)]
    path = [rng.choice(states)]
    for symbol in word:
        path.append(following[path[-1], symbol])
    lines = [f"{s}: " + ", ".join(f"{i} -> {following[s, i]}" for i in inputs) for s in states]
    table = "\n".join(lines)
    return json_item(
        f"A machine moves between states as this table says (state: input -> next state).\n{table}\n"
        f"It starts in {path[0]} and reads {' '.join(word)}. Name its last state, and the state in "
        "which it was just before.",
        [path[-1], path[-2]],
    )


Operation = tuple[str, Callable[[list[int]], list[int]]]


def _operation(rng: Random, level: int) -> Operation:
    k, n = rng.randint(2, 4), rng.randint(2, 9)
    easy: list[Operation] = [
        ("reverse the list", lambda v: v[::-1]),
        (f"add {n} to every element", lambda v: [x + n for x in v]),
        ("swap the first and the last element", lambda v: [v[-1], *v[1:-1], v[0]]),
        (f"append {n}", lambda v: [*v, n]),
    ]
    hard: list[Operation] = [
        (f"move the first {k} elements to the end, in the same order", lambda v: v[k:] + v[:k]),
        (
            f"replace each element by its remainder when divided by {n + 8}",
            lambda v: [x % (n + 8) for x in v],
        ),
        (
            "double every element at an odd position (the first position is 1)",
            lambda v: [x * 2 if i % 2 == 0 else x for i, x in enumerate(v)],
        ),
        (
            "append the difference of the largest and the smallest element",
            lambda v: [*v, max(v) - min(v)],
        ),
        (
            "remove the first occurrence of the smallest element",
            lambda v: [x for i, x in enumerate(v) if i != v.index(min(v))],
        ),
        (
            "replace every element from the second on by its sum with the element before it, as it was",
            lambda v: [v[0], *(a + b for a, b in zip(v, v[1:], strict=False))],
        ),
        ("sort the first four elements in ascending order", lambda v: sorted(v[:4]) + v[4:]),
    ]
    return rng.choice(easy if level == 1 else [*easy, *hard] if level <= 3 else hard)


def _list_operations(rng: Random, level: int) -> Item:
    size, count = ((4, 2), (5, 4), (6, 6), (7, 10), (9, 15))[level - 1]
    start = values = [rng.randint(1, 30) for _ in range(size)]
    steps = []
    for place in range(count):
        text, apply = _operation(rng, level)
        values = apply(values)
        steps.append(f"{place + 1}. {text[0].upper()}{text[1:]}.")
    instructions = "\n".join(steps)
    return json_item(
        f"{rng.choice(NAMES)} starts with the list {start} and carries out these steps in order.\n"
        f"{instructions}\nWhat is the list at the end?",
        values,
    )


def _automaton(rng: Random, level: int) -> Item:
    width, num_steps = ((7, 1), (8, 2), (10, 3), (12, 5), (14, 8))[level - 1]
    on, off = rng.sample("#.ox*-+=@%", 2)
    around = [f"{a}{b}{c}" for a in (on, off) for b in (on, off) for c in (on, off)]
    born = sorted(rng.sample(around, 4))
    start = row = "".join(rng.choice((on, off)) for _ in range(width))
    for _ in range(num_steps):
        ring = row[-1] + row + row[0]
        row = "".join(on if ring[i : i + 3] in born else off for i in range(width))
    steps = "one step" if num_steps == 1 else f"{num_steps} steps"
    return json_item(
        f"A row of cells is written with {on} and {off}. In one step all cells change at once: a cell "
        f"becomes {on} if its left neighbour, itself and its right neighbour are together one of "
        f"{', '.join(born)}; otherwise it becomes {off}. The row is a ring: its first and last cells "
        f"are neighbours. The row is {start}. What is it after {steps}?",
        row,
    )


TASKS = tasks_of(
    "algorithms",
    {
        "programs": (_program, "python, program, execution, output, variables"),
        "state_machines": (_machine, "automaton, states, transitions, simulation, tracing"),
        "list_operations": (_list_operations, "lists, steps, procedure, positions, tracing"),
        "cell_patterns": (_automaton, "cellular automaton, rules, patterns, simulation, sequence"),
    },
)
