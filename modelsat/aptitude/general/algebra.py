"""Equations, polynomials, derivatives and integrals."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from random import Random

from modelsat.aptitude.general.task import Item, exact_item, number_item, tasks_of

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


def _terms(parts: Sequence[tuple[int, str]]) -> str:
    """Return a sum of terms as text, from coefficients and symbols."""
    text = ""
    for value, symbol in parts:
        if value:
            size = (
                f"{abs(value)}*{symbol}" if symbol and abs(value) > 1 else symbol or f"{abs(value)}"
            )
            sign = " - " if value < 0 else " + "
            text += f"{sign}{size}" if text else f"{'-' if value < 0 else ''}{size}"
    return text or "0"


def _text(polynomial: Polynomial, x: str = "x") -> str:
    symbols = ["", x, *(f"{x}^{power}" for power in range(2, len(polynomial)))]
    return _terms([*zip(polynomial, symbols, strict=False)][::-1])


def _determinant(rows: Sequence[Sequence[int]]) -> int:
    if not rows:
        return 1
    first, *rest = rows
    return sum(
        (-1) ** place * value * _determinant([[*row[:place], *row[place + 1 :]] for row in rest])
        for place, value in enumerate(first)
    )


def _linear_system(rng: Random, level: int) -> Item:
    size, top = ((1, 12), (2, 9), (3, 6), (3, 15), (4, 12))[level - 1]
    names = rng.sample("abcdfghkmnpqrstuvwxyz", size)
    values = [_coefficient(rng, (20, 9, 9, 20, 20)[level - 1]) for _ in names]
    rows: list[list[int]] = []
    while not rows or _determinant(rows) == 0:
        rows = [[_coefficient(rng, top) for _ in names] for _ in names]
    weights = [_coefficient(rng, 9) for _ in names]
    shifts = [rng.randint(1, 60) if level == 1 else 0 for _ in names]

    def total(row: Sequence[int]) -> int:
        return sum(a * value for a, value in zip(row, values, strict=True))

    lines = [
        f"{_terms([*zip(row, names, strict=True), (shift, '')])} = {total(row) + shift}"
        for row, shift in zip(rows, shifts, strict=True)
    ]
    asked = _terms([*zip(weights, names, strict=True)])
    system = "\n".join(lines)
    return number_item(f"Given\n{system}\nwhat is the value of {asked}?", total(weights))


# Degree and exponent of each factor, by level.
_FACTORS = (
    ((1, 1), (1, 1)),
    ((2, 1), (1, 1)),
    ((2, 1), (3, 1)),
    ((1, 4), (2, 1)),
    ((2, 4), (2, 2)),
)


def _polynomial_coefficient(rng: Random, level: int) -> Item:
    x, top = rng.choice("hmnqtuvwxyz"), (20, 20, 12, 6, 5)[level - 1]
    product, factors = [1], ""
    for degree, exponent in _FACTORS[level - 1]:
        factor = _polynomial(rng, degree, top)
        for _ in range(exponent):
            product = _multiplied(product, factor)
        factors += f"({_text(factor, x)})" + (f"^{exponent}" if exponent > 1 else "")
    power = rng.randint(1, len(product) - 2)
    symbol = x if power == 1 else f"{x}^{power}"
    return number_item(
        f"The product {factors} is expanded. What is the coefficient of {symbol}?", product[power]
    )


def _taylor(polynomial: Polynomial, at: int) -> list[Fraction]:
    """Return value, first derivative and half the second derivative at a point."""
    values = [Fraction(0)] * 3
    for coefficient in reversed(polynomial):
        values = [
            a * at + b for a, b in zip(values, [Fraction(coefficient), *values], strict=False)
        ]
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
    value, text = _taylor(p, at), _text(p)
    if level == 3:
        value, text = _times(value, _taylor(q, at)), f"({text})*({_text(q)})"
    elif level == 4:
        value, text = _divided(value, _taylor(q, at)), f"({text})/({_text(q)})"
    elif level == 5:
        squared = _times(_taylor(q, at), _taylor(q, at))
        value, text = _divided(value, squared), f"({text})/({_text(q)})^2"
    name, mark = rng.choice("fghpqruvw"), "''" if level == 5 else "'"
    order = "second" if level == 5 else "first"
    return exact_item(
        f"Let {name}(x) = {text}. What is {name}{mark}({at}), the {order} derivative at x = {at}?",
        2 * value[2] if level == 5 else value[1],
    )


def _integrated(polynomial: Polynomial, low: Fraction, high: Fraction) -> Fraction:
    return sum(
        (
            Fraction(a, power + 1) * (high ** (power + 1) - low ** (power + 1))
            for power, a in enumerate(polynomial)
        ),
        Fraction(0),
    )


def _integral(rng: Random, level: int) -> Item:
    if level <= 3:
        integrand = _polynomial(rng, level, (20, 15, 12)[level - 1])
        low = rng.randint(-3, 3)
        high = low + rng.randint(1, 5)
        return exact_item(
            f"What is the definite integral of {_text(integrand)} from x = {low} to x = {high}?",
            _integrated(integrand, Fraction(low), Fraction(high)),
        )
    roots = sorted(rng.sample(range(-7, 8), level - 2))
    integrand = [_coefficient(rng, 4)]
    for root in roots:
        integrand = _multiplied(integrand, [-root, 1])
    if level == 4:
        low, high = roots[0] - rng.randint(1, 4), roots[-1] + rng.randint(1, 4)
        question = f"What is the integral of |{_text(integrand)}| from x = {low} to x = {high}?"
    else:
        low, high = roots[0], roots[-1]
        other = _polynomial(rng, 3, 9)
        sums = [a + b for a, b in zip(integrand, other, strict=True)]
        question = (
            f"The curves y = {_text(sums)} and y = {_text(other)} enclose bounded regions. What is "
            "the total area of these regions?"
        )
    ends = sorted({low, *roots, high})
    parts = [_integrated(integrand, Fraction(a), Fraction(b)) for a, b in pairwise(ends)]
    return exact_item(question, sum(map(abs, parts), Fraction(0)))


TASKS = tasks_of(
    "algebra",
    {
        "linear_systems": (_linear_system, "linear equations, unknowns, algebra, system, solving"),
        "polynomials": (
            _polynomial_coefficient,
            "polynomials, expansion, coefficients, algebra, powers",
        ),
        "derivatives": (_derivative, "calculus, derivative, functions, quotient rule, slope"),
        "integrals": (_integral, "calculus, integral, area, antiderivative, curves"),
    },
)
