"""Puzzles with one solution, which a search over all possibilities confirms."""

from collections.abc import Callable, Sequence
from itertools import permutations, product
from random import Random

from modelsat.aptitude.general.task import Item, choice, in_json, listed, read_tasks
from modelsat.aptitude.general.words import COLOURS, PLACES, invented, people

Solution = Sequence[int]
Clue = tuple[str, Callable[[Solution], bool]]  # in words, and as a condition on a solution


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _statement(rng: Random, who: Sequence[str], speaker: int, level: int) -> Clue:
    """Return a statement about who is a knight (1) and who is a knave (0)."""
    others = [place for place in range(len(who)) if place != speaker]
    a, b = rng.sample(others, 2) if len(others) > 1 else (others[0], speaker)
    x, y, be = who[a], *((who[b], "is") if b != speaker else ("I", "am"))
    value, count = rng.randint(0, 1), rng.randint(1, len(who) - 1)
    kind, knights = ("knave", "knight")[value], "is a knight" if count == 1 else "are knights"
    statements: tuple[Clue, ...] = (
        (f"{x} is a {kind}", lambda k: k[a] == value),
        (f"{x} and {y} are of the same kind", lambda k: k[a] == k[b]),
        (f"{x} and {y} are of different kinds", lambda k: k[a] != k[b]),
        (f"exactly {count} of us {knights}", lambda k: sum(k) == count),
        (f"if {x} is a knight, then {y} {be} a {kind}", lambda k: not k[a] or k[b] == value),
        (f"{x} is a {kind} or {y} {be} a knave, or both", lambda k: k[a] == value or not k[b]),
    )
    return rng.choice(statements[slice(*((3,), (3,), (6,), (3, 6), (3, 6))[level - 1])])


def _knights(rng: Random, level: int) -> Item:
    who = people(rng, (2, 3, 4, 6, 7)[level - 1])
    fitting: list[Solution] = []
    while len(fitting) != 1 or not 0 < sum(fitting[0]) < len(who):
        said = [_statement(rng, who, speaker, level) for speaker in range(len(who))]
        fitting = [
            kinds
            for kinds in product((0, 1), repeat=len(who))
            if all(is_true(kinds) == kind for (_, is_true), kind in zip(said, kinds, strict=True))
        ]
    pairs = zip(who, said, strict=True)
    speeches = "\n".join(f'{name}: "{_sentence(text)}"' for name, (text, _) in pairs)
    knights = sorted(name for name, kind in zip(who, fitting[0], strict=True) if kind)
    return in_json(knights, people=listed(who), speeches=speeches, place=rng.choice(PLACES))


def _until_unique(possible: list[Solution], draw: Callable[[], Clue], rng: Random) -> list[str]:
    """Draw true clues until one solution is left; return those that ruled something out."""
    texts: list[str] = []
    while len(possible) > 1:
        text, holds = draw()
        left = [solution for solution in possible if holds(solution)]
        if len(left) < len(possible):
            possible, texts = left, [*texts, text]
    rng.shuffle(texts)
    return [_sentence(text) for text in texts]


def _race(rng: Random, level: int) -> Item:
    who = people(rng, (3, 4, 5, 6, 7)[level - 1])
    at = rng.sample(range(len(who)), len(who))  # places; 0 is first

    def draw() -> Clue:
        a, b = sorted(rng.sample(range(len(who)), 2), key=lambda runner: at[runner])
        x, y, gap, wrong = who[a], who[b], at[b] - at[a], rng.randrange(len(who))
        runners = "one runner" if gap == 2 else f"{gap - 1} runners"
        clues: tuple[Clue, ...] = (
            (f"{x} finished before {y}", lambda p: p[a] < p[b]),
            (f"{y} finished directly after {x}", lambda p: p[b] - p[a] == 1),
            (
                f"exactly {runners} finished between {x} and {y}",
                lambda p: gap > 1 and abs(p[b] - p[a]) == gap,
            ),
            (f"{x} did not finish in place {wrong + 1}", lambda p: p[a] != wrong),
            (
                f"{y} and {x} did not finish one directly after the other",
                lambda p: abs(p[a] - p[b]) > 1,
            ),
        )
        kinds = ((0, 1, 2), (0, 1, 2), (0, 1, 2, 3, 4), (2, 3, 4), (2, 3, 4))[level - 1]
        return rng.choice([clues[kind] for kind in kinds if clues[kind][1](at)] or clues[:1])

    clues = _until_unique([*permutations(range(len(who)))], draw, rng)
    order = [name for _, name in sorted(zip(at, who, strict=True))]
    return in_json(order, people=listed(who), clues=" ".join(clues))


_HOUSES = (  # how an occupant is named, what the houses differ in, and its values
    ("{}", "residents", ()),
    ("the person with the {} door", "doors", COLOURS),
    ("the {} owner", "pets", "cat dog parrot rabbit snake turtle goat hen".split()),
    ("the {} drinker", "drinks", "tea coffee milk cider water cocoa juice soda".split()),
)


def _houses(rng: Random, level: int) -> Item:
    size, num_groups = ((3, 2), (4, 2), (3, 3), (4, 3), (4, 3))[level - 1]
    groups = [
        (name, kind, rng.sample(words, size) if words else people(rng, size))
        for name, kind, words in (_HOUSES[0], *rng.sample(_HOUSES[1:], num_groups - 1))
    ]
    solution = [place for _ in groups for place in rng.sample(range(size), size)]
    nouns = [name.format(word) for name, _, words in groups for word in words]

    def draw() -> Clue:
        a, b = rng.sample(range(len(nouns)), 2)
        x, y, house = nouns[a], nouns[b], rng.randrange(size)
        clues: tuple[Clue, ...] = (
            (f"{x} is {y}", lambda s: s[a] == s[b]),
            (f"{x} lives directly left of {y}", lambda s: s[b] - s[a] == 1),
            (f"{x} lives in house {house + 1}", lambda s: s[a] == house),
            (f"{x} and {y} live next to each other", lambda s: abs(s[a] - s[b]) == 1),
            (f"{x} does not live in house {house + 1}", lambda s: s[a] != house),
            (f"{x} lives somewhere to the right of {y}", lambda s: s[a] > s[b]),
        )
        kinds = ((0, 1, 2), (0, 1, 2, 4), (0, 1, 3, 4), (0, 1, 3, 4, 5), (3, 4, 5))[level - 1]
        true = [clues[kind] for kind in kinds if clues[kind][1](solution)]
        return rng.choice(true) if true else draw()

    orders = [*permutations(range(size))]
    possible: list[Solution] = [sum(parts, ()) for parts in product(orders, repeat=num_groups)]
    clues = _until_unique(possible, draw, rng)
    names = [name for _, name in sorted(zip(solution, groups[0][2], strict=False))]
    legend = "; ".join(f"{kind}: {', '.join(words)}" for _, kind, words in groups)
    return in_json(names, size=size, legend=legend, clues="\n".join(clues))


def _step(rng: Random, known: dict[str, bool], new: str, level: int) -> tuple[str, bool]:
    """Return a rule by which the last known class decides a new one, and what it decides."""
    *earlier, last = known
    yes = [word for word in earlier if known[word]]
    no = [word for word in earlier if not known[word]]
    positive = rng.random() < 0.5
    if not known[last] and positive:
        return f"everything that is not a {last} is a {new}", True
    if not known[last]:
        return f"every {new} is a {last}", False
    if level >= 4 and yes:
        return f"everything that is both a {rng.choice(yes)} and a {last} is a {new}", True
    if level >= 3 and no:
        return f"every {last} is a {rng.choice(no)} or a {new}, or both", True
    return f"{'every' if positive else 'no'} {last} is a {new}", positive


def _deduction(rng: Random, level: int) -> Item:
    """A chain of rules decides the last class; rules that look alike leave three others open."""
    depth, num_traps = ((1, 3), (2, 3), (3, 5), (5, 6), (7, 8))[level - 1]
    who, words = people(rng, 1)[0], invented(rng, depth + 4)
    chain, opened = words[: depth + 1], words[depth + 1 :]
    known, rules = {words[0]: rng.random() < 0.5}, []
    for new in chain[1:]:
        rule, known[new] = _step(rng, known, new, level)
        rules.append(rule)
    for place in range(num_traps):
        word = rng.choice(chain)  # says nothing about the trap's class, whatever the word's value
        rules.append(f"{'every' if known[word] else 'no'} {opened[place % 3]} is a {word}")
    rng.shuffle(rules)

    def fact(word: str, value: bool) -> str:
        return f"{who} is {'a' if value else 'not a'} {word}."

    return choice(
        fact(chain[-1], known[chain[-1]]),
        [fact(word, rng.random() < 0.5) for word in opened],
        rules=" ".join(_sentence(rule) for rule in dict.fromkeys(rules)),
        fact=fact(chain[0], known[chain[0]]),
    )


TASKS = read_tasks(
    "logic",
    knights_and_knaves=_knights,
    race_order=_race,
    house_puzzles=_houses,
    deduction=_deduction,
)
