"""Whole numbers: expressions, remainders, multiples and congruences."""

from random import Random

from modelsat.aptitude.general.task import Item, listed, number_item, tasks_of
from modelsat.aptitude.general.words import NAMES

_MAX_PRODUCT = (300, 1_000, 5_000, 20_000, 200_000)  # within an expression, by level


def _tree(rng: Random, leaves: int, top: int, max_product: int) -> tuple[str, int]:
    """Return an expression in parentheses and its value."""
    if leaves == 1:
        value = rng.randint(2, top)
        return str(value), value
    size = rng.randint(1, leaves - 1)
    left, a = _tree(rng, size, top, max_product)
    right, b = _tree(rng, leaves - size, top, max_product)
    if abs(a * b) <= max_product and rng.random() < 0.6:
        return f"({left} * {right})", a * b
    if rng.random() < 0.5:
        return f"({left} + {right})", a + b
    return f"({left} - {right})", a - b


def _expression(rng: Random, level: int) -> Item:
    leaves, top = ((2, 99), (3, 60), (5, 60), (7, 99), (10, 180))[level - 1]
    text, value = _tree(rng, leaves, top, _MAX_PRODUCT[level - 1])
    wording = rng.choice(
        (
            "{who} types {text} into a calculator. What is the result?",
            "{who} has to work out {text}. What is the value?",
            "{who} evaluates {text}. What does {who} get?",
        )
    )
    return number_item(wording.format(who=rng.choice(NAMES), text=text[1:-1]), value)


def _power(rng: Random, top: int, exponents: tuple[int, int]) -> tuple[str, int, int]:
    base, exponent = rng.randint(3, top), rng.randint(*exponents)
    return f"{base}^{exponent}", base, exponent


def _remainder(rng: Random, level: int) -> Item:
    modulus = rng.randint(*((6, 12), (11, 40), (11, 60), (90, 400), (400, 1500))[level - 1])
    if level <= 2:
        a, b = rng.randint(20, 99), rng.randint(3, 99)
        text, value = (f"{a} + {b}", a + b) if level == 1 else (f"{a} * {b}", a * b)
    else:
        first, a, m = _power(
            rng, (12, 40, 300)[level - 3], ((5, 20), (20, 99), (99, 5000))[level - 3]
        )
        second, b, n = _power(
            rng, (12, 40, 300)[level - 3], ((2, 3), (5, 20), (99, 5000))[level - 3]
        )
        text, value = f"{first} + {second}", pow(a, m, modulus) + pow(b, n, modulus)
    who = rng.choice(NAMES)
    return number_item(
        f"{who} divides {text} by {modulus}. What is the remainder (0 to {modulus - 1})?",
        value % modulus,
    )


def _multiples(rng: Random, level: int) -> Item:
    num_divisors, size = ((1, 200), (2, 300), (2, 900), (3, 3_000), (4, 9_000))[level - 1]
    first = rng.randint(1, size)
    last = first + rng.randint(size // 2, size)
    divisors = rng.sample(range(4, 5 + 7 * num_divisors), num_divisors)
    free = [n for n in (5, 7, 9, 11, 13) if all(divisor % n for divisor in divisors)]
    excluded = rng.choice(free) if level >= 3 else None
    count = sum(
        any(n % d == 0 for d in divisors) and (excluded is None or n % excluded != 0)
        for n in range(first, last + 1)
    )
    of = (
        f"by {divisors[0]}" if level == 1 else f"by at least one of {listed([*map(str, divisors)])}"
    )
    but = "" if excluded is None else f", but not by {excluded}"
    return number_item(
        f"{rng.choice(NAMES)} writes down every whole number from {first} to {last}, both included, "
        f"that is divisible {of}{but}. How many numbers are that?",
        count,
    )


_COPRIME = ((7, 8, 9), (7, 8, 9, 11), (8, 9, 11, 13), (9, 10, 11, 13, 17), (13, 16, 17, 19, 21, 23))


def _congruences(rng: Random, level: int) -> Item:
    moduli = rng.sample(_COPRIME[level - 1], (1, 2, 2, 3, 4)[level - 1])
    remainders = [rng.randint(1, modulus - 1) for modulus in moduli]
    above = rng.randint(10, 90) * 10 ** (level - 1)
    number, step = above + 1, 1
    for modulus, remainder in zip(moduli, remainders, strict=True):
        while number % modulus != remainder:
            number += step
        step *= modulus
    who = rng.choice(NAMES)
    parts = [f"{r} when divided by {m}" for m, r in zip(moduli, remainders, strict=True)]
    return number_item(
        f"{who} looks for the smallest whole number greater than {above} that leaves the remainder "
        f"{listed(parts)}. Which number is it?",
        number,
    )


TASKS = tasks_of(
    "arithmetic",
    {
        "expressions": (_expression, "arithmetic, calculation, parentheses, integers, operations"),
        "remainders": (
            _remainder,
            "remainder, modular arithmetic, powers, division, number theory",
        ),
        "multiples": (
            _multiples,
            "divisibility, multiples, counting, inclusion-exclusion, integers",
        ),
        "congruences": (_congruences, "congruences, remainders, number theory, search, modulus"),
    },
)
