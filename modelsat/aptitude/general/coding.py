"""Functions to write; hidden tests hold the results of a reference that is not the solution."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, Task, listed, numbered, read_data, read_tasks
from modelsat.aptitude.general.words import NOUNS, invented, people

_DATA = read_data("coding")
_NUM_TESTS = 8
Case = tuple[Any, Any]  # an argument and the result


def _code(name: str, solution: str, cases: Sequence[Case], **slots: object) -> Item | None:
    """Return a request for a function; None if a constant would pass most of its tests."""
    if Counter(repr(result) for _, result in cases).most_common(1)[0][1] > _NUM_TESTS // 2:
        return None
    argument, result = cases[0]
    ending = (
        f"Example: {name}({argument!r}) returns {result!r}.\nAnswer with the Python code of the "
        "function alone."
    )
    tests = "\n".join(f"assert {name}({given!r}) == {wanted!r}" for given, wanted in cases)
    args = {"entry_point": name, "solution": solution}
    return Item(tests, {"name": name, **slots}, "code", ending, args)


def _pipeline(kind: str, rng: Random, level: int) -> Item:
    """Ask for a function that carries out steps on a list of numbers or words."""
    steps = _DATA["steps"][kind][: 2 if level == 1 else None]
    item = None
    while item is None:
        name, (p, q) = invented(rng, 1)[0], rng.sample("aeilnorst", 2)
        k, r, n = rng.randint(2, 4), rng.randint(0, 1), rng.randint(6, 8)
        values = {"k": k, "r": r, "n": n, "p": p, "q": q}
        chosen = rng.sample(steps, (1, 2, 3, 4, 6)[level - 1])
        cases = []
        for size in (7, 0, 1, 4, 9, 12, 5, 8):
            numbers = [rng.randint(-60, 99) for _ in range(size)]
            case = result = numbers if kind == "numbers" else rng.sample(NOUNS, size)
            for step in chosen:
                result = eval(step["reference"].format(**values), {"v": result})
            cases.append((case, result))
        body = "\n".join(f"    {step['source'].format(**values)}" for step in chosen)
        solution = f"def {name}(v):\n    v = list(v)\n{body}\n    return v"
        lines = numbered([step["text"].format(**values) for step in chosen])
        item = _code(name, solution, cases, steps=lines)
    return item


def _record_result(rows: list[Any], keys: Sequence[str], low: int, size: int, level: int) -> Any:
    """Return what the function for records of this level returns."""
    group, member, points = keys
    if level == 5:
        rows = list({(row[group], row[member]): row for row in rows}.values())
    rows = [row for row in rows if level == 1 or row[points] >= low]
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row[group]] += row[points]
    counts = Counter(row[group] for row in rows)
    if level <= 3:
        return dict(totals) if level == 3 else totals.total()
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    return [name for name in ranked if counts[name] >= size]


def _record_function(rng: Random, level: int) -> Item:
    item = None
    while item is None:
        name, keys = invented(rng, 1)[0], rng.sample(NOUNS, 3)
        groups, who = invented(rng, 3), people(rng, 6)
        low, size = rng.randint(4, 12), rng.randint(2, 3)
        cases = []
        for count in (6, 0, 1, 5, 8, 10, 12, 12):
            drawn = [
                (rng.choice(groups), rng.choice(who), rng.randint(1, 30)) for _ in range(count)
            ]
            rows = [dict(zip(keys, values, strict=True)) for values in drawn]
            cases.append((rows, _record_result(rows, keys, low, size, level)))
        slots: dict[str, Any] = dict(zip(("group", "member", "points"), keys, strict=True))
        slots |= {"low": low, "size": size}
        solution = _DATA["record_sources"][level - 1].format(name=name, **slots)
        item = _code(name, solution, cases, keys=listed([repr(key) for key in keys]), **slots)
    return item


def _executed(program: Sequence[str], kinds: Mapping[str, int], registers: str) -> list[int]:
    """Run a program; the reference for the function that candidates write."""
    value, place = dict.fromkeys(registers, 0), 0
    while place < len(program):
        word, a, b = program[place].split()
        kind, step = kinds[word], 1
        if kind == 0:
            value[a] = int(b)
        elif kind in (1, 2):
            value[a] = value[a] + (int(b) if kind == 1 else value[b])
        elif kind == 3:
            value[a], value[b] = value[b], value[a]
        elif kind == 4 and value[a] % 2 == 1:
            step = 1 + int(b)
        elif kind == 5 and value[a] > value[b]:
            value[a] = value[a] // 2
        elif kind == 5:
            value[b] = 2 * value[b]
        elif kind == 6 and value[a] > 0:
            value[a], step = value[a] - 1, -min(int(b), place)
        place += step
    return [value[register] for register in registers]


def _interpreted(rng: Random, words: Sequence[str], registers: str, length: int) -> list[str]:
    """Return a program that ends: a command goes back once, over others of other registers."""
    program: list[str] = []
    for _ in range(length):
        kind = rng.randrange(len(words))
        a, b = rng.choice(registers), rng.choice(registers)
        if kind == 6:
            named = {part for command in program[-3:] for part in command.split()[1:]}
            if a in named or any(command.startswith(words[6]) for command in program):
                kind = 1
        argument = b if kind in (2, 3, 5) else str(rng.randint(1, 3 if kind >= 4 else 9))
        program.append(f"{words[kind]} {a} {argument}")
    return program


def _interpreter(rng: Random, level: int) -> Item:
    commands = _DATA["commands"][: (2, 3, 4, 6, 7)[level - 1]]
    registers = "".join(rng.sample("defghkmpqstuvwxyz", 3))
    item = None
    while item is None:
        name, *words = invented(rng, len(commands) + 1)
        kinds = {word: kind for kind, word in enumerate(words)}
        lengths = (6, 0, 3, 8, 12, 12, 16, 16)
        programs = [_interpreted(rng, words, registers, length) for length in lengths]
        cases = [(program, _executed(program, kinds, registers)) for program in programs]
        pairs = list(zip(words, commands, strict=True))
        branches = [f"        if c == {word!r}:\n            {c['source']}" for word, c in pairs]
        solution = "\n".join(
            [
                f"def {name}(program):\n    r, i = dict.fromkeys({registers!r}, 0), 0",
                "    while i < len(program):\n        c, a, b = program[i].split()\n        i += 1",
                *branches,
                f"    return [r[x] for x in {registers!r}]",
            ]
        )
        lines = [f'- "{word} {c["arguments"]}" {c["meaning"]}' for word, c in pairs]
        meaning = "\n".join(rng.sample(lines, len(lines)))
        item = _code(name, solution, cases, registers=listed(registers), commands=meaning)
    return item


TASKS: tuple[Task, ...] = read_tasks(
    "coding",
    list_functions=partial(_pipeline, "numbers"),
    text_functions=partial(_pipeline, "words"),
    record_functions=_record_function,
    interpreters=_interpreter,
)
