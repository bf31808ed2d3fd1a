"""Probability, counting and statistics, with exact results."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations, product
from math import comb, prod
from random import Random

from modelsat.aptitude.general.task import Item, exact, listed, number, read_tasks
from modelsat.aptitude.general.words import COLOURS, GOODS, PLACES, people

Condition = Callable[[Sequence[int]], bool]

# Number of colours and of draws, and whether the numbers of drawn colours are the event, by level.
_URNS: tuple[tuple[int, int, Condition], ...] = (
    (2, 1, lambda drawn: drawn[0] == 1),
    (2, 2, lambda drawn: drawn[0] == 2),
    (3, 3, lambda drawn: drawn[0] >= 1),
    (3, 4, lambda drawn: drawn[0] == 2 and drawn[1] >= 1),
    (4, 5, lambda drawn: drawn[0] >= 1 and drawn[1] >= 1 and drawn[2] > drawn[3]),
)


def _urn(rng: Random, level: int) -> Item:
    num_colours, num_drawn, happens = _URNS[level - 1]
    colours = rng.sample(COLOURS, num_colours)
    counts = [rng.randint(3, 60 // num_colours) for _ in colours]
    ways = sum(
        prod(map(comb, counts, drawn))
        for drawn in product(range(num_drawn + 1), repeat=num_colours)
        if sum(drawn) == num_drawn and happens(drawn)
    )
    return exact(
        Fraction(ways, comb(sum(counts), num_drawn)),
        colours=colours,
        balls=listed([f"{n} {colour}" for n, colour in zip(counts, colours, strict=True)]),
        thing=rng.choice(("balls", "tokens", "cards", "beads", "socks", "marbles")),
        number=("one", "two", "three", "four", "five")[num_drawn - 1],
    )


def _rule(rng: Random, who: Sequence[str]) -> tuple[str, Condition]:
    """Return a condition on the places of people in a row, in words and as a predicate."""
    a, b, c = rng.sample(range(len(who)), 3)
    x, y, z, last = who[a], who[b], who[c], len(who) - 1
    place = rng.randint(2, last)
    rules: tuple[tuple[str, Condition], ...] = (
        (f"{x} and {y} stand next to each other", lambda at: abs(at[a] - at[b]) == 1),
        (f"{x} and {y} do not stand next to each other", lambda at: abs(at[a] - at[b]) > 1),
        (f"{x} stands somewhere to the left of {y}", lambda at: at[a] < at[b]),
        (f"{x} is at neither end", lambda at: at[a] not in (0, last)),
        (f"{x} is not in place {place} from the left", lambda at: at[a] != place - 1),
        (
            f"{x} stands somewhere between {y} and {z}",
            lambda at: (at[a] - at[b]) * (at[c] - at[a]) > 0,
        ),
    )
    return rng.choice(rules)


def _arrangements(rng: Random, level: int) -> Item:
    size, num_rules = ((rng.randint(4, 6), 1), (6, 1), (6, 2), (7, 3), (7, 4))[level - 1]
    who = people(rng, size)
    count = 0
    while count == 0:
        rules = dict(_rule(rng, who) for _ in range(num_rules))
        met = (all(holds(at) for holds in rules.values()) for at in permutations(range(size)))
        count = sum(met) if len(rules) == num_rules else 0
    lines = "\n".join(f"- {text}" for text in rules)
    return number(count, people=listed(who), rules=lines)


def _variance(values: Sequence[int]) -> Fraction:
    mean = Fraction(sum(values), len(values))
    return sum(((value - mean) ** 2 for value in values), Fraction(0)) / len(values)


def _statistics(rng: Random, level: int) -> Item:
    size = (3, 5, 5, 6, 8)[level - 1]
    values = [rng.randint(1, 99) for _ in range(size)]
    mean, target = Fraction(sum(values), size), sum(values) // size + rng.randint(1, 30)
    wrong, dropped = rng.sample(range(size), 2)
    right = rng.randint(1, 99)
    corrected = [right if i == wrong else v for i, v in enumerate(values) if i != dropped]
    result = (
        mean,
        mean - sorted(values)[size // 2],
        Fraction(target * (size + 2) - sum(values), 2),
        _variance(values),
        _variance(corrected),
    )[level - 1]
    shown = {"values": listed(values), "size": size, "thing": rng.choice(GOODS)}
    change = {"target": target, "wrong": wrong + 1, "dropped": dropped + 1, "right": right}
    return exact(result, **shown, **change)


def _sources(rng: Random, level: int) -> Item:
    """Ask for the probability of a source, given how many of its items are chipped."""
    count, tested, bad = ((2, 1, 1), (2, 1, 1), (3, 1, 1), (3, 2, 2), (4, 4, 2))[level - 1]
    places = rng.sample(PLACES, count)
    shares = [rng.randint(1, 12) for _ in places]
    rates = [Fraction(rng.randint(1, 19), 20) for _ in places]
    likelihoods = [
        Fraction(share, sum(shares)) * comb(tested, bad) * p**bad * (1 - p) ** (tested - bad)
        for share, p in zip(shares, rates, strict=True)
    ]
    evidence = sum(likelihoods, Fraction(0))
    sources = [
        f"{share} of {sum(shares)} are from {place} (probability {int(100 * rate)}%)"
        for place, share, rate in zip(places, shares, rates, strict=True)
    ]
    return exact(
        evidence if level == 1 else likelihoods[0] / evidence,
        thing=rng.choice(GOODS),
        places=listed(rng.sample(places, count)),
        sources=listed(sources),
        total=sum(shares),
        asked=places[0],
    )


TASKS = read_tasks(
    "probability", urns=_urn, arrangements=_arrangements, statistics=_statistics, bayes=_sources
)
