"""Puzzles with one solution, which a search over all possibilities confirms."""

from collections.abc import Callable, Sequence
from itertools import permutations, product
from random import Random

from modelsat.aptitude.general.task import Item, choice_item, json_item, listed, tasks_of
from modelsat.aptitude.general.words import COLOURS, invented, people

Predicate = Callable[[Sequence[int]], bool]
Clue = tuple[str, Predicate]  # in words, and as a condition on a possible solution


def _statement(rng: Random, who: Sequence[str], speaker: int, level: int) -> Clue:
    """Return a statement about who is a knight (1) and who is a knave (0)."""
    others = [place for place in range(len(who)) if place != speaker]
    a, b = rng.sample(others, 2) if len(others) > 1 else (others[0], speaker)
    x, y = who[a], who[b] if b != speaker else "I"
    kind = ("knave", "knight")
    truth = rng.randint(0, 1)
    number = rng.randint(1, len(who) - 1)
    simple: list[Clue] = [
        (f"{x} is a {kind[truth]}", lambda k: k[a] == truth),
        (f"{x} and {y} are of the same kind", lambda k: k[a] == k[b]),
        (f"{x} and {y} are of different kinds", lambda k: k[a] != k[b]),
    ]
    compound: list[Clue] = [
        (
            f"exactly {number} of us {'is a knight' if number == 1 else 'are knights'}",
            lambda k: sum(k) == number,
        ),
        (
            f"if {x} is a knight, then {y} {'am' if y == 'I' else 'is'} a {kind[truth]}",
            lambda k: not k[a] or k[b] == truth,
        ),
        (
            f"{x} is a {kind[truth]} or {y} {'am' if y == 'I' else 'is'} a knave, or both",
            lambda k: k[a] == truth or not k[b],
        ),
    ]
    return rng.choice(simple if level <= 2 else [*simple, *compound] if level <= 3 else compound)


def _knights(rng: Random, level: int) -> Item:
    who = people(rng, (2, 3, 4, 6, 7)[level - 1])
    kinds = list(product((0, 1), repeat=len(who)))
    while True:
        said = [_statement(rng, who, speaker, level) for speaker in range(len(who))]
        fitting = [
            k for k in kinds if all(is_true(k) == k[i] for i, (_, is_true) in enumerate(said))
        ]
        if len(fitting) == 1 and 0 < sum(fitting[0]) < len(who):
            break
    lines = [
        f'{name}: "{text[0].upper()}{text[1:]}."' for name, (text, _) in zip(who, said, strict=True)
    ]
    knights = sorted(name for name, kind in zip(who, fitting[0], strict=True) if kind)
    speeches = "\n".join(lines)
    note = (
        '(A statement with "if" is false only if its first part is true and its second is false.)\n'
    )
    return json_item(
        f"On an island, knights always tell the truth and knaves always lie. {listed(who)} live "
        f"there.\n{speeches}\n{note if level >= 3 else ''}Who are the knights? List their names in alphabetical order.",
        knights,
    )


def _place_clue(rng: Random, who: Sequence[str], at: Sequence[int], level: int) -> Clue:
    """Return a true clue about the places (0 is first) of runners."""
    first, second = rng.sample(range(len(who)), 2)
    a, b = sorted((first, second), key=lambda runner: at[runner])
    x, y, gap = who[a], who[b], at[b] - at[a]
    clues: list[Clue] = [(f"{x} finished before {y}", lambda p: p[a] < p[b])]
    if level <= 3 and gap == 1:
        clues.append((f"{y} finished directly after {x}", lambda p: p[b] - p[a] == 1))
    if gap >= 2:
        between = "exactly one runner" if gap == 2 else f"exactly {gap - 1} runners"
        clues.append((f"{between} finished between {x} and {y}", lambda p: abs(p[b] - p[a]) == gap))
    if level >= 2:
        wrong = rng.choice([place for place in range(len(who)) if place != at[a]])
        clues.append((f"{x} did not finish in place {wrong + 1}", lambda p: p[a] != wrong))
        clues.append(
            (
                f"{x} and {y} did not finish directly one after the other",
                lambda p: abs(p[a] - p[b]) > 1,
            )
        )
    text, holds = rng.choice(clues)
    return (text, holds) if holds(at) else clues[0]


def _until_unique(
    possible: list[Sequence[int]], draw: Callable[[], Clue], rng: Random
) -> list[str]:
    """Draw true clues until one solution is left; return those that ruled something out."""
    texts: list[str] = []
    while len(possible) > 1:
        text, holds = draw()
        left = [solution for solution in possible if holds(solution)]
        if len(left) < len(possible):
            possible, texts = left, [*texts, text]
    rng.shuffle(texts)
    return [f"{text[0].upper()}{text[1:]}." for text in texts]


def _race(rng: Random, level: int) -> Item:
    who = people(rng, (3, 4, 5, 6, 7)[level - 1])
    at = rng.sample(range(len(who)), len(who))
    possible: list[Sequence[int]] = [*permutations(range(len(who)))]
    clues = _until_unique(possible, lambda: _place_clue(rng, who, at, level), rng)
    order = [name for _, name in sorted(zip(at, who, strict=True))]
    return json_item(
        f"{listed(who)} ran a race; no two finished together. {' '.join(clues)} "
        "List the runners from first to last.",
        order,
    )


_HOUSES = (  # how an occupant is named, what the houses differ in, and its values
    ("{}", "residents", ()),
    ("the person with the {} door", "doors", COLOURS),
    ("the {} owner", "pets", ("cat", "dog", "parrot", "rabbit", "snake", "turtle", "goat", "hen")),
    (
        "the {} drinker",
        "drinks",
        ("tea", "coffee", "milk", "cider", "water", "cocoa", "juice", "soda"),
    ),
)
_HOUSE_CLUES = ((0, 1, 5), (0, 1, 4, 5), (0, 1, 2, 4), (0, 1, 2, 3, 4), (2, 3, 4))  # by level


def _house_clues(x: str, y: str, a: int, b: int, house: int) -> tuple[Clue, ...]:
    return (
        (f"{x} is {y}", lambda s: s[a] == s[b]),
        (f"{x} lives directly left of {y}", lambda s: s[b] - s[a] == 1),
        (f"{x} and {y} live next to each other", lambda s: abs(s[a] - s[b]) == 1),
        (f"{x} lives somewhere to the right of {y}", lambda s: s[a] > s[b]),
        (f"{x} does not live in house {house + 1}", lambda s: s[a] != house),
        (f"{x} lives in house {house + 1}", lambda s: s[a] == house),
    )


def _houses(rng: Random, level: int) -> Item:
    size, num_groups = ((3, 2), (4, 2), (3, 3), (4, 3), (4, 3))[level - 1]
    chosen = [_HOUSES[0], *rng.sample(_HOUSES[1:], num_groups - 1)]
    groups = [
        (text, kind, rng.sample(words, size) if words else people(rng, size))
        for text, kind, words in chosen
    ]
    solution = [place for _ in groups for place in rng.sample(range(size), size)]
    orders = [*permutations(range(size))]
    possible: list[Sequence[int]] = [sum(one, ()) for one in product(orders, repeat=num_groups)]
    nouns = [text.format(word) for text, _, words in groups for word in words]

    def draw() -> Clue:
        a, b = rng.sample(range(len(nouns)), 2)
        clues = _house_clues(nouns[a], nouns[b], a, b, rng.randrange(size))
        true = [clues[kind] for kind in _HOUSE_CLUES[level - 1] if clues[kind][1](solution)]
        return rng.choice(true) if true else draw()

    clues = "\n".join(_until_unique(possible, draw, rng))
    names = groups[0][2]
    legend = "; ".join(f"{kind}: {', '.join(words)}" for _, kind, words in groups)
    return json_item(
        f"Houses 1 to {size} stand in a row from left to right. Each house has one of each ({legend}; "
        f"not in this order).\n{clues}\n"
        f"Who lives in the houses? List the names from house 1 to house {size}.",
        [name for _, name in sorted(zip(solution, names, strict=False))],
    )


def _step(rng: Random, known: dict[str, bool], new: str, level: int) -> tuple[str, bool]:
    """Return a rule by which the last known class decides a new one, and what it decides."""
    last = [*known][-1]
    yes = [word for word in known if known[word] and word != last]
    no = [word for word in known if not known[word] and word != last]
    if not known[last]:
        return rng.choice(
            (
                (f"everything that is not a {last} is a {new}", True),
                (f"every {new} is a {last}", False),
            )
        )
    if level >= 4 and yes:
        return f"everything that is both a {rng.choice(yes)} and a {last} is a {new}", True
    if level >= 3 and no:
        return f"every {last} is a {rng.choice(no)} or a {new}, or both", True
    return rng.choice(((f"every {last} is a {new}", True), (f"no {last} is a {new}", False)))


def _deduction(rng: Random, level: int) -> Item:
    """A chain of rules decides the last class; rules that look alike leave three others open."""
    depth, num_traps = ((1, 3), (2, 3), (3, 5), (5, 6), (7, 8))[level - 1]
    who, words = people(rng, 1)[0], invented(rng, depth + 4)
    known = {words[0]: rng.random() < 0.5}
    start, rules = _said(who, words[0], known[words[0]]), []
    for new in words[1 : depth + 1]:
        rule, value = _step(rng, known, new, level)
        rules.append(rule)
        known[new] = value
    is_in = [word for word in known if known[word]]
    is_out = [word for word in known if not known[word]]
    opened = words[depth + 1 :]
    for place in range(num_traps):
        trap = opened[place % 3]
        if is_out and (not is_in or rng.random() < 0.5):
            rules.append(f"no {trap} is a {rng.choice(is_out)}")
        else:
            rules.append(f"every {trap} is a {rng.choice(is_in)}")
    rng.shuffle(rules)
    sentences = [f"{rule[0].upper()}{rule[1:]}." for rule in dict.fromkeys(rules)]
    wrong = tuple(_said(who, word, rng.random() < 0.5) for word in opened)
    target = words[depth]
    return choice_item(
        f"{' '.join(sentences)} {start} Which statement must be true?",
        _said(who, target, known[target]),
        wrong,
    )


def _said(who: str, word: str, value: bool) -> str:
    return f"{who} is {'a' if value else 'not a'} {word}."


TASKS = tasks_of(
    "logic",
    {
        "knights_and_knaves": (_knights, "logic, truth, lies, statements, deduction"),
        "race_order": (_race, "logic, order, ranking, constraints, elimination"),
        "house_puzzles": (_houses, "logic, puzzle, assignment, neighbours, clues"),
        "deduction": (_deduction, "logic, syllogism, inference, premises, conclusion"),
    },
)
