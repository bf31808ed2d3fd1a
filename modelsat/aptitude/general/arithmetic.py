"""Whole numbers: expressions, remainders, multiples and congruences."""

from random import Random

from modelsat.aptitude.general.task import Item, listed, number, read_tasks

# Leaves of an expression, its largest number, and the largest product in it, by level.
_EXPRESSIONS = ((2, 200, 300), (3, 60, 1_000), (5, 60, 5_000), (7, 99, 20_000), (10, 180, 200_000))


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
    sign = rng.choice((-1, 1))
    return f"({left} {'+' if sign > 0 else '-'} {right})", a + sign * b


def _expression(rng: Random, level: int) -> Item:
    text, value = _tree(rng, *_EXPRESSIONS[level - 1])
    return number(value, text=text[1:-1])


def _remainder(rng: Random, level: int) -> Item:
    modulus = rng.randint(*((6, 12), (11, 40), (11, 60), (90, 400), (400, 1500))[level - 1])
    a, b = rng.randint(20, 99), rng.randint(3, 99)
    text, value = (f"{a} + {b}", a + b) if level == 1 else (f"{a} * {b}", a * b)
    if level >= 3:
        top, *exponents = ((12, 5, 20), (40, 20, 99), (300, 99, 5000))[level - 3]
        (a, m), (b, n) = ((rng.randint(3, top), rng.randint(*exponents)) for _ in range(2))
        text, value = f"{a}^{m} + {b}^{n}", pow(a, m, modulus) + pow(b, n, modulus)
    return number(value % modulus, text=text, modulus=modulus, largest=modulus - 1)


def _multiples(rng: Random, level: int) -> Item:
    num_divisors, size = ((1, 300), (2, 300), (2, 900), (3, 3_000), (4, 9_000))[level - 1]
    first = rng.randint(1, size)
    last = first + rng.randint(size // 2, size)
    divisors = rng.sample(range(4, 5 + 7 * num_divisors), num_divisors)
    free = [n for n in (5, 7, 9, 11, 13) if all(divisor % n for divisor in divisors)]
    excluded = rng.choice(free) if level >= 3 else last + 1
    count = sum(
        any(n % divisor == 0 for divisor in divisors) and n % excluded != 0
        for n in range(first, last + 1)
    )
    return number(count, first=first, last=last, divisors=listed(divisors), excluded=excluded)


_COPRIME = ((7, 8, 9), (7, 8, 9, 11), (8, 9, 11, 13), (9, 10, 11, 13, 17), (13, 16, 17, 19, 21))


def _congruences(rng: Random, level: int) -> Item:
    moduli = rng.sample(_COPRIME[level - 1], (1, 2, 2, 3, 4)[level - 1])
    remainders = [rng.randint(1, modulus - 1) for modulus in moduli]
    above = rng.randint(10, 9_000)
    value, step = above + 1, 1
    for modulus, remainder in zip(moduli, remainders, strict=True):
        while value % modulus != remainder:
            value += step
        step *= modulus
    parts = [f"{r} when divided by {m}" for m, r in zip(moduli, remainders, strict=True)]
    return number(value, above=above, conditions=listed(parts))


TASKS = read_tasks(
    "arithmetic",
    expressions=_expression,
    remainders=_remainder,
    multiples=_multiples,
    congruences=_congruences,
)
