"""Probability, counting and statistics, with exact results."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations, product
from math import comb, prod
from random import Random

from modelsat.aptitude.general.task import Item, exact_item, listed, number_item, tasks_of
from modelsat.aptitude.general.words import COLOURS, GOODS, NAMES, PLACES, people

# Number of colours and draws, by level, and what is asked about the counts that are drawn.
_URNS: tuple[tuple[int, int, str, Callable[[Sequence[int]], bool]], ...] = (
    (2, 1, "it is {0}", lambda drawn: drawn[0] == 1),
    (2, 2, "both are {0}", lambda drawn: drawn[0] == 2),
    (3, 3, "at least one of them is {0}", lambda drawn: drawn[0] >= 1),
    (
        3,
        4,
        "exactly two of them are {0} and at least one is {1}",
        lambda d: d[0] == 2 and d[1] >= 1,
    ),
    (
        *(4, 5, "at least one of them is {0}, at least one is {1}, and more are {2} than {3}"),
        lambda drawn: drawn[0] >= 1 and drawn[1] >= 1 and drawn[2] > drawn[3],
    ),
)


def _urn(rng: Random, level: int) -> Item:
    num_colours, num_drawn, event, happens = _URNS[level - 1]
    colours = rng.sample(COLOURS, num_colours)
    counts = [rng.randint(3, 60 // num_colours) for _ in colours]
    ways = sum(
        prod(map(comb, counts, drawn))
        for drawn in product(range(num_drawn + 1), repeat=num_colours)
        if sum(drawn) == num_drawn and happens(drawn)
    )
    balls = listed([f"{n} {colour}" for n, colour in zip(counts, colours, strict=True)])
    thing = rng.choice(("balls", "tokens", "cards", "beads", "socks", "marbles"))
    number = ("one", "two", "three", "four", "five")[num_drawn - 1]
    how = "at random" if num_drawn == 1 else "at random and without replacement"
    return exact_item(
        f"{rng.choice(NAMES)} has {balls} {thing} in a bag and draws {number} of them {how}. "
        f"What is the probability that {event.format(*colours)}?",
        Fraction(ways, comb(sum(counts), num_drawn)),
    )


Rule = tuple[str, Callable[[Sequence[int]], bool]]  # of the places of people in a row


def _rule(rng: Random, who: Sequence[str]) -> Rule:
    """Return a condition on where people stand in a row, in words and as a predicate."""
    a, b, c = rng.sample(range(len(who)), 3)
    x, y, z, last = who[a], who[b], who[c], len(who) - 1
    place = rng.randint(2, last)
    return rng.choice(
        (
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
    )


def _arrangements(rng: Random, level: int) -> Item:
    who = people(rng, rng.randint(*((4, 6), (5, 6), (6, 7), (7, 7), (7, 7))[level - 1]))
    wanted = (1, 1, 2, 3, 4)[level - 1]
    rules = dict(_rule(rng, who) for _ in range(wanted))
    count = sum(
        all(is_met(at) for is_met in rules.values()) for at in permutations(range(len(who)))
    )
    if len(rules) < wanted or count == 0:
        return _arrangements(rng, level)
    conditions = "\n".join(f"- {text}" for text in rules)
    return number_item(
        f"{listed(who)} line up in a row under these conditions:\n{conditions}\n"
        "In how many orders can they stand?",
        count,
    )


def _statistics(rng: Random, level: int) -> Item:
    size = (3, 5, 5, 6, 8)[level - 1]
    values = [rng.randint(1, 99) for _ in range(size)]
    who, thing = rng.choice(NAMES), rng.choice(GOODS)
    shown = ", ".join(map(str, values))
    start = f"{who} counted the {thing} sold on {size} days: {shown}."
    mean = Fraction(sum(values), size)
    if level == 1:
        return exact_item(f"{start} What is the mean?", mean)
    if level == 2:
        median = sorted(values)[size // 2]
        return exact_item(
            f"{start} By how much does the mean exceed the median? "
            "(Give a negative value if it is smaller.)",
            mean - median,
        )
    if level == 3:
        target, added = rng.randint(20, 99), 2
        missing = target * (size + added) - sum(values)
        return exact_item(
            f"{start} After two more days the mean of all days was {target}. What is "
            "the mean of the two new values?",
            Fraction(missing, added),
        )
    if level == 5:
        place, right = rng.randrange(size), rng.randint(1, 99)
        start += (
            f" Later {who} found that the value of day {place + 1} should have been {right}, and that "
            f"the value of day {(place + 3) % size + 1} has to be left out."
        )
        values[place] = right
        del values[(place + 3) % size]
    centre = Fraction(sum(values), len(values))
    variance = sum(((v - centre) ** 2 for v in values), Fraction(0)) / len(values)
    what = "corrected values" if level == 5 else "values"
    return exact_item(f"{start} What is the population variance of the {what}?", variance)


def _sources(rng: Random, level: int) -> Item:
    """Ask for the probability of a source, given how many of its items are defective."""
    count, num_tested = ((2, 1), (2, 1), (3, 1), (3, 2), (4, 4))[level - 1]
    places = rng.sample(PLACES, count)
    shares = [rng.randint(1, 12) for _ in places]
    rates = [Fraction(rng.randint(1, 19), 20) for _ in places]
    bad = num_tested if level < 5 else 2
    likelihoods = [
        Fraction(share, sum(shares))
        * comb(num_tested, bad)
        * p**bad
        * (1 - p) ** (num_tested - bad)
        for share, p in zip(shares, rates, strict=True)
    ]
    thing, lines = rng.choice(GOODS), []
    for place, share, rate in zip(places, shares, rates, strict=True):
        lines.append(
            f"{place} has {share} of the {sum(shares)} boxes ({int(100 * rate)}% of items chipped)"
        )
    tested = {1: f"one of its {thing} is tested: it is chipped"}.get(
        num_tested,
        f"{num_tested} of its {thing} are tested independently: exactly {bad} are chipped",
    )
    start = (
        f"Boxes of {thing} come from {listed(places)}: {listed(lines)}. Each item of a box is chipped "
        "independently of the others, with the stated probability. A box is chosen at random"
    )
    if level == 1:
        return exact_item(
            f"{start} and one item in it is tested. What is the probability that the "
            "item is chipped?",
            sum(likelihoods, Fraction(0)),
        )
    return exact_item(
        f"{start}, and {tested}. What is the probability that the box is from {places[0]}?",
        likelihoods[0] / sum(likelihoods, Fraction(0)),
    )


TASKS = tasks_of(
    "probability",
    {
        "urns": (_urn, "probability, random draws, combinations, sampling, fractions"),
        "arrangements": (
            _arrangements,
            "permutations, counting, arrangements, combinatorics, seating",
        ),
        "statistics": (_statistics, "statistics, mean, median, variance, data"),
        "bayes": (_sources, "conditional probability, bayes, evidence, likelihood, prior"),
    },
)
