"""Equations, polynomials, derivatives and integrals."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from random import Random

from modelsat.aptitude.general.task import Item, exact, number, read_tasks

Polynomial = Sequence[int]  # coefficients, constant first


def _coefficient(rng: Random, top: int) -> int:
    return rng.choice((-1, 1)) * rng.randint(1, top)


def _polynomial(rng: Random, degree: int, top: int) -> list[int]:
    return [_coefficient(rng, top) for _ in range(degree + 1)]


def _multiplied(one: Polynomial, other: Polynomial) -> list[int]:
    result = [0] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            result[i + j] += a * b
    return result


def _sum(parts: Sequence[tuple[int, str]]) -> str:
    """Return a sum of terms as text, from coefficients and symbols."""
    text = ""
    for value, symbol in parts:
        if value:
            factor = f"{abs(value)}*" if symbol and abs(value) > 1 else ""
            sign = " - " if value < 0 else " + "
            sign = sign if text else sign.strip(" +")
            text += sign + (factor + symbol if symbol else f"{abs(value)}")
    return text or "0"


def _text(polynomial: Polynomial, x: str = "x") -> str:
    symbols = ["", x, *(f"{x}^{power}" for power in range(2, len(polynomial)))]
    return _sum([*zip(polynomial, symbols, strict=False)][::-1])


def _determinant(rows: Sequence[Sequence[int]]) -> int:
    if not rows:
        return 1
    first, *rest = rows
    return sum(
        (-1) ** place * value * _determinant([[*row[:place], *row[place + 1 :]] for row in rest])
        for place, value in enumerate(first)
    )


def _linear_system(rng: Random, level: int) -> Item:
    size, top, largest = ((1, 12, 20), (2, 9, 9), (3, 6, 9), (3, 15, 20), (4, 12, 20))[level - 1]
    names = rng.sample("abcdfghkmnpqrstuvwxyz", size)
    values = [_coefficient(rng, largest) for _ in names]
    rows: list[list[int]] = []
    while not rows or _determinant(rows) == 0:
        rows = [[_coefficient(rng, top) for _ in names] for _ in names]
    weights = [_coefficient(rng, 9) for _ in names]
    shift = rng.randint(1, 60) if level == 1 else 0

    def total(row: Sequence[int]) -> int:
        return sum(a * value for a, value in zip(row, values, strict=True))

    lines = [
        f"{_sum([*zip(row, names, strict=True), (shift, '')])} = {total(row) + shift}"
        for row in rows
    ]
    asked = _sum([*zip(weights, names, strict=True)])
    return number(total(weights), system="\n".join(lines), asked=asked)


# Degree and exponent of each factor, by level.
_FACTORS = (
    ((1, 1), (1, 1)),
    ((2, 1), (1, 1)),
    ((2, 1), (3, 1)),
    ((1, 4), (2, 1)),
    ((2, 4), (2, 2)),
)


def _coefficient_of_product(rng: Random, level: int) -> Item:
    x, top = rng.choice("hmnqtuvwxyz"), (20, 20, 12, 6, 5)[level - 1]
    result, factors = [1], []
    for degree, exponent in _FACTORS[level - 1]:
        factor = _polynomial(rng, degree, top)
        for _ in range(exponent):
            result = _multiplied(result, factor)
        factors.append(f"({_text(factor, x)})" + (f"^{exponent}" if exponent > 1 else ""))
    power = rng.randint(1, len(result) - 2)
    symbol = x if power == 1 else f"{x}^{power}"
    return number(result[power], product="*".join(factors), power=symbol)


def _taylor(polynomial: Polynomial, at: int) -> list[Fraction]:
    """Return value, first derivative and half the second derivative at a point."""
    values = [Fraction(0)] * 3
    for constant in reversed(polynomial):
        values = [a * at + b for a, b in zip(values, [Fraction(constant), *values], strict=False)]
    return values


def _times(one: Sequence[Fraction], other: Sequence[Fraction]) -> list[Fraction]:
    return [sum((one[j] * other[i - j] for j in range(i + 1)), Fraction(0)) for i in range(3)]


def _divided(one: Sequence[Fraction], other: Sequence[Fraction]) -> list[Fraction]:
    quotient: list[Fraction] = []
    for i in range(3):
        known = sum((quotient[j] * other[i - j] for j in range(i)), Fraction(0))
        quotient.append((one[i] - known) / other[0])
    return quotient


def _derivative(rng: Random, level: int) -> Item:
    at, top = _coefficient(rng, 6), (30, 20, 9, 9, 7)[level - 1]
    p = _polynomial(rng, (2, 4, 2, 2, 2)[level - 1], top)
    q = _polynomial(rng, 2, top)
    while _taylor(q, at)[0] == 0:
        q = _polynomial(rng, 2, top)
    series, divisor = _taylor(p, at), _taylor(q, at)
    text = ("{p}", "{p}", "({p})*({q})", "({p})/({q})", "({p})/({q})^2")[level - 1]
    if level == 3:
        series = _times(series, divisor)
    elif level >= 4:
        series = _divided(series, divisor if level == 4 else _times(divisor, divisor))
    value = 2 * series[2] if level == 5 else series[1]
    function = text.format(p=_text(p), q=_text(q))
    return exact(value, name=rng.choice("fghpqruvw"), function=function, at=at)


def _integrated(polynomial: Polynomial, low: int, high: int) -> Fraction:
    ends = ((power + 1, Fraction(a, power + 1)) for power, a in enumerate(polynomial))
    return sum((a * (high**power - low**power) for power, a in ends), Fraction(0))


def _integral(rng: Random, level: int) -> Item:
    integrand, roots = _polynomial(rng, level, (60, 20, 12, 4, 4)[level - 1]), []
    low = rng.randint(-3, 3)
    high = low + rng.randint(1, 5)
    if level >= 4:
        roots, integrand = sorted(rng.sample(range(-7, 8), level - 2)), [_coefficient(rng, 4)]
        for root in roots:
            integrand = _multiplied(integrand, [-root, 1])
        margin = rng.randint(1, 4) if level == 4 else 0
        low, high = roots[0] - margin, roots[-1] + margin
    pieces = pairwise(sorted({low, *roots, high}))
    areas = [_integrated(integrand, a, b) for a, b in pieces]
    total = sum(map(abs, areas) if level >= 4 else areas, Fraction(0))
    other = _polynomial(rng, 3, 9)
    if level == 5:
        integrand = [a + b for a, b in zip(integrand, other, strict=True)]
    return exact(total, function=_text(integrand), other=_text(other), low=low, high=high)


TASKS = read_tasks(
    "algebra",
    linear_systems=_linear_system,
    polynomials=_coefficient_of_product,
    derivatives=_derivative,
    integrals=_integral,
)
