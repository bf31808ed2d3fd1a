"""Functions to write; hidden tests hold the results of a reference that is not the solution."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, listed, tasks_of
from modelsat.aptitude.general.words import NOUNS, invented, people

Step = tuple[str, Callable[[Any], Any], str]  # in words, as a reference, and as Python on `v`
_NUM_TESTS = 8


def code_item(question: str, name: str, solution: str, cases: Sequence[tuple[Any, Any]]) -> Item:
    """Return a request for a function of one argument, with tests from its results."""
    argument, result = cases[0]
    prompt = (
        f"{question}\nExample: {name}({argument!r}) returns {result!r}.\nAnswer with the Python code "
        "of the function alone."
    )
    tests = "\n".join(f"assert {name}({given!r}) == {wanted!r}" for given, wanted in cases)
    return Item(prompt, tests, "code", {"entry_point": name, "solution": solution})


def _are_varied(cases: Sequence[tuple[Any, Any]]) -> bool:
    """Return whether no constant passes more than half of the tests."""
    return Counter(repr(result) for _, result in cases).most_common(1)[0][1] <= _NUM_TESTS // 2


def _digit_sum(value: int) -> int:
    return sum(map(int, str(abs(value))))


def _list_steps(rng: Random) -> list[Step]:
    k, r, n = rng.randint(2, 4), rng.randint(0, 1), rng.randint(2, 9)
    return [
        (
            f"keep the numbers whose remainder when divided by {k} is {r}",
            lambda v: [x for x in v if x % k == r],
            f"v = list(filter(lambda x: x % {k} == {r}, v))",
        ),
        (
            f"multiply each number by {n} and subtract {k}",
            lambda v: [x * n - k for x in v],
            f"v = list(map(lambda x: {n} * x - {k}, v))",
        ),
        (
            "replace each number by the sum of its decimal digits, without its sign",
            lambda v: [_digit_sum(x) for x in v],
            "v = [sum(int(c) for c in str(x) if c != '-') for x in v]",
        ),
        (
            f"remove every number at position {k}, {2 * k}, {3 * k} and so on, counting from 1",
            lambda v: [x for i, x in enumerate(v, 1) if i % k],
            f"del v[{k} - 1::{k}]",
        ),
        (
            "replace each number by the sum of all numbers up to and including it",
            lambda v: [sum(v[: i + 1]) for i in range(len(v))],
            "for i in range(1, len(v)):\n        v[i] += v[i - 1]",
        ),
        (
            "remove every number that equals an earlier one",
            lambda v: list(dict.fromkeys(v)),
            "v = [x for i, x in enumerate(v) if x not in v[:i]]",
        ),
        (
            f"sort by the remainder when divided by {n + 2}, equal remainders from large to small",
            lambda v: sorted(v, key=lambda x: (x % (n + 2), -x)),
            f"v.sort(reverse=True)\n    v.sort(key=lambda x: x % {n + 2})",
        ),
        (
            "replace each number by how many numbers before it are smaller than it",
            lambda v: [sum(y < x for y in v[:i]) for i, x in enumerate(v)],
            "v = [len([j for j in range(i) if v[j] < v[i]]) for i in range(len(v))]",
        ),
        (
            f"reverse each full block of {k} numbers, counted from the start; leave a rest as it is",
            lambda v: [
                x
                for i in range(0, len(v), k)
                for x in (v[i : i + k][::-1] if len(v) - i >= k else v[i:])
            ],
            f"for i in range(0, len(v) - {k - 1}, {k}):\n        v[i:i + {k}] = v[i:i + {k}][::-1]",
        ),
        (
            "replace each number by the next one minus it, and drop the last",
            lambda v: [b - a for a, b in zip(v, v[1:], strict=False)],
            "v = [v[i + 1] - v[i] for i in range(len(v) - 1)]",
        ),
    ]


def _word_steps(rng: Random) -> list[Step]:
    k, letter, other = rng.randint(2, 5), rng.choice("aeiou"), rng.choice("lnrst")
    return [
        (
            f"keep the words with at least {k} letters",
            lambda v: [w for w in v if len(w) >= k],
            f"v = [w for w in v if not len(w) < {k}]",
        ),
        (
            f"replace every letter {letter} by {other}{other}",
            lambda v: [w.replace(letter, other * 2) for w in v],
            f"v = ['{other}{other}'.join(w.split('{letter}')) for w in v]",
        ),
        (
            "reverse every second word, starting with the second",
            lambda v: [w[::-1] if i % 2 else w for i, w in enumerate(v)],
            "for i in range(1, len(v), 2):\n        v[i] = ''.join(reversed(v[i]))",
        ),
        (
            "move the first letter of each word to its end",
            lambda v: [w[1:] + w[:1] for w in v],
            "v = [(w + w[0])[1:] for w in v]",
        ),
        (
            f"sort the words by how often they contain {other}, then alphabetically",
            lambda v: sorted(v, key=lambda w: (w.count(other), w)),
            f"v = sorted(sorted(v), key=lambda w: sum(c == '{other}' for c in w))",
        ),
        (
            "put after each word the number of different letters in it, as in tree3",
            lambda v: [f"{w}{len({*w})}" for w in v],
            "v = [w + str(len(set(w))) for w in v]",
        ),
        (
            "write a run of two or more equal letters as the letter and the length of the run, as in "
            "le2k for leek",
            lambda v: [_runs(w) for w in v],
            "import re\n    v = [re.sub(r'(.)\\1+', lambda m: m[1] + str(len(m[0])), w) for w in v]",
        ),
        (
            f"remove the words that contain both {letter} and {other}",
            lambda v: [w for w in v if not {letter, other} <= {*w}],
            f"v = [w for w in v if '{letter}' not in w or '{other}' not in w]",
        ),
    ]


def _runs(word: str) -> str:
    """Return a word with its runs of equal characters shortened."""
    result, place = "", 0
    while place < len(word):
        length = 1
        while word[place + length : place + length + 1] == word[place]:
            length += 1
        result += word[place] + (str(length) if length > 1 else "")
        place += length
    return result


def _pipeline(
    name: str, steps: Sequence[Step], what: str, cases: Sequence[list[Any]]
) -> Item | None:
    """Return a request for a function of several steps; None if its results hardly differ."""
    results = []
    for values in cases:
        result: Any = list(values)
        for _, apply, _ in steps:
            result = apply(result)
        results.append((values, result))
    if not _are_varied(results):
        return None
    lines = "\n".join(
        f"{i}. {text[0].upper()}{text[1:]}." for i, (text, _, _) in enumerate(steps, 1)
    )
    body = "\n".join(f"    {source}" for _, _, source in steps)
    return code_item(
        f"Write a Python function {name}(v) that takes a list of {what}, carries out these steps in "
        f"order, and returns the list that results. The list may be empty.\n{lines}",
        name,
        f"def {name}(v):\n    v = list(v)\n{body}\n    return v",
        results,
    )


def _list_function(rng: Random, level: int) -> Item:
    steps = _list_steps(rng)
    chosen = rng.sample(steps[:3] if level == 1 else steps, (1, 2, 3, 4, 6)[level - 1])
    sizes = (7, 0, 1, 4, 9, 12, 5, 8)
    cases = [[rng.randint(-60, 99) for _ in range(size)] for size in sizes]
    item = _pipeline(invented(rng, 1)[0], chosen, "whole numbers", cases)
    return item or _list_function(rng, level)


def _text_function(rng: Random, level: int) -> Item:
    steps = _word_steps(rng)
    chosen = rng.sample(steps[:2] if level == 1 else steps, (1, 2, 3, 4, 5)[level - 1])
    cases = [rng.sample(NOUNS, size) for size in (6, 0, 1, 3, 9, 12, 5, 8)]
    item = _pipeline(invented(rng, 1)[0], chosen, "lower-case words", cases)
    return item or _text_function(rng, level)


def _record_result(rows: list[Any], keys: Sequence[str], low: int, size: int, level: int) -> Any:
    """Return what the function for records returns; see :func:`_record_function`."""
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


def _record_source(name: str, keys: Sequence[str], low: int, size: int, level: int) -> str:
    group, member, points = map(repr, keys)
    lines = [f"def {name}(rows):", "    sums, counts = {}, {}", "    for i, r in enumerate(rows):"]
    if level == 5:
        same = f"q[{group}] == r[{group}] and q[{member}] == r[{member}]"
        lines.append(f"        if any({same} for q in rows[i + 1:]): continue")
    if level >= 2:
        lines.append(f"        if r[{points}] < {low}: continue")
    lines.append(f"        sums[r[{group}]] = sums.get(r[{group}], 0) + r[{points}]")
    lines.append(f"        counts[r[{group}]] = counts.get(r[{group}], 0) + 1")
    ranking = f"sorted((g for g in sorted(sums) if counts[g] >= {size}), key=lambda g: -sums[g])"
    lines.append(
        f"    return {('sum(sums.values())', 'sums')[level == 3] if level <= 3 else ranking}"
    )
    return "\n".join(lines)


def _record_function(rng: Random, level: int) -> Item:
    name, keys = invented(rng, 1)[0], rng.sample(NOUNS, 3)
    group, member, points = keys
    groups, who = invented(rng, 3), people(rng, 6)
    low, size = rng.randint(4, 12), rng.randint(2, 3)
    results = []
    for count in (6, 0, 1, 5, 8, 10, 12, 12):
        rows = [
            {group: rng.choice(groups), member: rng.choice(who), points: rng.randint(1, 30)}
            for _ in range(count)
        ]
        results.append((rows, _record_result(rows, keys, low, size, level)))
    if not _are_varied(results):
        return _record_function(rng, level)
    steps = [
        f"First, of all records with equal {group} and equal {member}, keep only the last.",
        f"{'Then leave' if level == 5 else 'Leave'} out records whose {points} is less than {low}.",
    ][{5: 0, 1: 2}.get(level, 1) :]
    wanted = {3: f"Return a dict from each remaining {group} to the sum of its {points}."}.get(
        level, f"Return the sum of all {'remaining ' if level == 2 else ''}values of {points}."
    )
    if level >= 4:
        wanted = (
            f"Return a list of those values of {group} that have at least {size} remaining records, by "
            f"the sum of their {points} from large to small; equal sums alphabetically."
        )
    return code_item(
        f"Write a Python function {name}(rows) that takes a list of records: dicts with the keys "
        f"{listed([repr(key) for key in keys])}. The value of {points} is a whole number, the other "
        f"values are texts. The list may be empty. {' '.join([*steps, wanted])}",
        name,
        _record_source(name, keys, low, size, level),
        results,
    )


# Meaning of a command with register a, register b and number n: words, reference, Python.
_COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("{c} a n", "sets register a to n", "r[a] = int(b)"),
    ("{c} a n", "adds n to register a", "r[a] += int(b)"),
    ("{c} a b", "adds the value of register b to register a", "r[a] += r[b]"),
    ("{c} a b", "swaps the values of registers a and b", "r[a], r[b] = r[b], r[a]"),
    (
        "{c} a n",
        "skips the next n commands if the value of register a is odd",
        "i += int(b) if r[a] % 2 else 0",
    ),
    (
        "{c} a b",
        "halves register a, rounding down, if it is larger than register b; otherwise doubles b",
        "r[a], r[b] = (r[a] // 2, r[b]) if r[a] > r[b] else (r[a], 2 * r[b])",
    ),
    (
        "{c} a n",
        "goes back n commands (1 is the command before this one; at most to the first) and "
        "subtracts 1 from register a, if register a is larger than 0; otherwise nothing happens",
        "i, r[a] = (max(i - 1 - int(b), 0), r[a] - 1) if r[a] > 0 else (i, r[a])",
    ),
)


def _executed(program: Sequence[str], kinds: dict[str, int], registers: str) -> list[int]:
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


def _program(rng: Random, words: Sequence[str], registers: str, length: int) -> list[str]:
    program = []
    for _ in range(length):
        kind = rng.randrange(len(words))
        a, b = rng.choice(registers), rng.choice(registers)
        argument = (
            b if _COMMANDS[kind][0].endswith("b") else str(rng.randint(1, 3 if kind >= 4 else 9))
        )
        program.append(f"{words[kind]} {a} {argument}")
    return program


def _interpreter(rng: Random, level: int) -> Item:
    count = (1, 2, 4, 6, 7)[level - 1]
    name, *words = invented(rng, count + 1)
    registers = "".join(rng.sample("defghkmpqstuvwxyz", 3))
    kinds = {word: kind for kind, word in enumerate(words)}
    cases: list[tuple[Any, Any]] = []
    while len(cases) < _NUM_TESTS:
        program = _program(rng, words, registers, (5, 0, 3, 8, 12, 12, 16, 16)[len(cases)])
        # A register that goes back is only decreased: programs in which it grows may not end.
        if level < 5 or _ends(program, words[6]):
            cases.append((program, _executed(program, kinds, registers)))
    lines = [
        f'- "{_COMMANDS[kind][0].format(c=word)}" {_COMMANDS[kind][1]}'
        for kind, word in enumerate(words)
    ]
    rng.shuffle(lines)
    branches = "\n".join(
        f"        if c == {word!r}:\n            {_COMMANDS[kind][2]}"
        for kind, word in enumerate(words)
    )
    solution = (
        f"def {name}(program):\n    r, i = dict.fromkeys({registers!r}, 0), 0\n"
        "    while i < len(program):\n        c, a, b = program[i].split()\n        i += 1\n"
        f"{branches}\n    return [r[x] for x in {registers!r}]"
    )
    commands = "\n".join(lines)
    return code_item(
        f"Write a Python function {name}(program) that runs a list of commands and returns the final "
        f"values of the registers {listed([*registers])} as a list, in this order. All start at 0. A "
        f"program ends after its last command. In a command, a and b stand for names of registers, "
        f"which may be the same, and n for a whole number:\n{commands}",
        name,
        solution,
        cases,
    )


def _ends(program: Sequence[str], back: str) -> bool:
    """Return whether no command that may be repeated can make a loop endless."""
    places = [i for i, command in enumerate(program) if command.startswith(back + " ")]
    return len(places) <= 1 and not any(
        program[j].split()[1] == program[i].split()[1]
        or program[i].split()[1] in program[j].split()[2]
        for i in places
        for j in range(max(0, i - 3), i)
    )


TASKS = tasks_of(
    "coding",
    {
        "list_functions": (_list_function, "python, code, lists, functions, programming"),
        "text_functions": (_text_function, "python, code, strings, words, programming"),
        "record_functions": (_record_function, "python, code, records, grouping, programming"),
        "interpreters": (_interpreter, "python, code, interpreter, commands, programming"),
    },
)
