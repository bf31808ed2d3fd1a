"""Arithmetic, algebra and probability: the answers, worked out in another way."""

import re
import statistics
from fractions import Fraction
from itertools import combinations, pairwise, permutations, product
from math import lcm

import sympy

from tests.support.general_questions import drawn, names, numbers


def test_expressions():
    for _, slots, item, _ in drawn("expressions"):
        assert int(item.answer) == eval(slots["text"])


def test_remainders():
    for _, slots, item, _ in drawn("remainders"):
        assert int(item.answer) == eval(slots["text"].replace("^", "**")) % slots["modulus"]


def multiples_up_to(last, divisors, also):
    """How many numbers are divisible by `also` and at least one divisor (inclusion-exclusion)."""
    return sum(
        (-1) ** (size + 1) * (last // lcm(also, *chosen))
        for size in range(1, len(divisors) + 1)
        for chosen in combinations(divisors, size)
    )


def test_multiples():
    for level, slots, item, prompt in drawn("multiples"):
        divisors = numbers(slots["divisors"])
        first, last, excluded = slots["first"] - 1, slots["last"], slots["excluded"]
        count = multiples_up_to(last, divisors, 1) - multiples_up_to(first, divisors, 1)
        if level >= 3:
            count -= multiples_up_to(last, divisors, excluded)
            count += multiples_up_to(first, divisors, excluded)
            assert f"not by {excluded}" in prompt
        assert int(item.answer) == count


def test_congruences():
    for _, slots, item, _ in drawn("congruences"):
        found = re.findall(r"(\d+) when divided by (\d+)", slots["conditions"])
        pairs = [(int(remainder), int(modulus)) for remainder, modulus in found]
        answer, period = int(item.answer), lcm(*(modulus for _, modulus in pairs))
        assert all(answer % modulus == remainder for remainder, modulus in pairs)
        assert slots["above"] < answer <= slots["above"] + period


def expression(text):
    return sympy.sympify(text.replace("^", "**"))


def test_linear_systems():
    for _, slots, item, _ in drawn("linear_systems", 2):
        sides = [line.split(" = ") for line in slots["system"].splitlines()]
        [solution] = sympy.solve([expression(a) - expression(b) for a, b in sides], dict=True)
        assert expression(slots["asked"]).subs(solution) == int(item.answer)


def test_polynomials():
    for _, slots, item, _ in drawn("polynomials", 2):
        product_, power = expression(slots["product"]), expression(slots["power"])
        assert sympy.expand(product_).coeff(power) == int(item.answer)


def test_derivatives():
    for level, slots, item, _ in drawn("derivatives", 2):
        derivative = sympy.diff(expression(slots["function"]), "x", 2 if level == 5 else 1)
        assert derivative.subs("x", slots["at"]) == sympy.Rational(item.answer)


def test_integrals():
    x = sympy.Symbol("x")
    for level, slots, item, _ in drawn("integrals", 2):
        function = expression(slots["function"])
        if level == 5:
            function -= expression(slots["other"])
        low, high = slots["low"], slots["high"]
        ends = [low, high]
        if level >= 4:
            roots = sympy.Poly(function, x).ground_roots()
            ends = sorted({*ends, *roots} if level == 4 else roots)
        primitive = sympy.integrate(function, x)
        values = [primitive.subs(x, end) for end in ends]
        areas = [b - a for a, b in pairwise(values)]
        total = sum(map(abs, areas)) if level >= 4 else sum(areas)
        assert total == sympy.Rational(item.answer)


EVENTS = (
    lambda drawn, a, *_: drawn == [a],
    lambda drawn, a, *_: drawn == [a, a],
    lambda drawn, a, *_: a in drawn,
    lambda drawn, a, b, *_: drawn.count(a) == 2 and b in drawn,
    lambda drawn, a, b, c, d: a in drawn and b in drawn and drawn.count(c) > drawn.count(d),
)


def test_urns():
    for level, slots, item, _ in drawn("urns", 2):
        counts = {colour: int(n) for n, colour in re.findall(r"(\d+) (\w+)", slots["balls"])}
        num_drawn = "one two three four five".split().index(slots["number"]) + 1
        total = Fraction(0)
        for one_by_one in product(counts, repeat=num_drawn):
            if EVENTS[level - 1]([*one_by_one], *slots["colours"]):
                left, chance = dict(counts), Fraction(1)
                for colour in one_by_one:
                    chance *= Fraction(left[colour], sum(left.values()))
                    left[colour] -= 1
                total += chance
        assert total == Fraction(item.answer)


RULES = {
    r"- (\w+) and (\w+) stand next to each other": lambda row, a, b: (
        f"{a} {b}" in row or f"{b} {a}" in row
    ),
    r"- (\w+) and (\w+) do not stand next to each other": lambda row, a, b: (
        f"{a} {b}" not in row and f"{b} {a}" not in row
    ),
    r"- (\w+) stands somewhere to the left of (\w+)": lambda row, a, b: row.find(a) < row.find(b),
    r"- (\w+) is at neither end": lambda row, a: a not in (row.split()[0], row.split()[-1]),
    r"- (\w+) is not in place (\d+) from the left": lambda row, a, n: row.split()[int(n) - 1] != a,
    r"- (\w+) stands somewhere between (\w+) and (\w+)": lambda row, a, b, c: bool(
        re.search(rf"\b{b}\b.*\b{a}\b.*\b{c}\b|\b{c}\b.*\b{a}\b.*\b{b}\b", row)
    ),
}


def test_arrangements():
    for _, slots, item, _ in drawn("arrangements", 2):
        letters = dict(zip(names(slots["people"]), "ABCDEFG", strict=False))
        rules = [
            (holds, [letters.get(word, word) for word in found.groups()])
            for line in slots["rules"].splitlines()
            for pattern, holds in RULES.items()
            if (found := re.fullmatch(pattern, line))
        ]
        assert len(rules) == len(slots["rules"].splitlines())
        rows = map(" ".join, permutations(letters.values()))
        count = sum(all(holds(row, *words) for holds, words in rules) for row in rows)
        assert count == int(item.answer)


def test_statistics():
    for level, slots, item, _ in drawn("statistics"):
        values = [Fraction(value) for value in numbers(slots["values"])]
        if level == 5:
            values[slots["wrong"] - 1] = Fraction(slots["right"])
            del values[slots["dropped"] - 1]
        answer = Fraction(item.answer)
        if level == 1:
            assert answer == statistics.mean(values)
        elif level == 2:
            assert answer == statistics.mean(values) - statistics.median(values)
        elif level == 3:
            assert statistics.mean([*values, answer, answer]) == slots["target"]
        else:
            assert answer == statistics.pvariance(values)


def test_bayes():
    pattern = r"(\d+) of (\d+) are from (\w+) \(probability (\d+)%\)"
    for level, slots, item, prompt in drawn("bayes"):
        tested, bad = {4: (2, 2), 5: (4, 2)}.get(level, (1, 1))
        seen, all_seen = {}, Fraction(0)
        for share, total, place, percent in re.findall(pattern, slots["sources"]):
            rate = Fraction(int(percent), 100)
            for chipped in product((True, False), repeat=tested):
                if sum(chipped) == bad:
                    chance = Fraction(int(share), int(total))
                    for is_chipped in chipped:
                        chance *= rate if is_chipped else 1 - rate
                    seen[place] = seen.get(place, 0) + chance
                    all_seen += chance
        wanted = all_seen if level == 1 else seen[slots["asked"]] / all_seen
        assert Fraction(item.answer) == wanted
        assert level == 1 or f"from {slots['asked']}?" in prompt
