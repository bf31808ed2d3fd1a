"""Arithmetic with whole numbers from 0 to 100, in small stories."""

from collections.abc import Callable
from random import Random

from modelsat.demo.bank.spec import Content, Item, read_tasks
from modelsat.demo.bank.words import NAMES, NUMBERS, THINGS


def _near(answer: int, rng: Random) -> tuple[str, ...]:
    """Three wrong numbers close to the answer, within 0..100."""
    near = [n for n in range(max(0, answer - 12), min(100, answer + 12) + 1) if n != answer]
    return tuple(str(n) for n in rng.sample(near, 3))


def _about_one(low: int, high: int, step: int, solve: Callable[[int], int]) -> Content:
    """Questions about one number n in low..high."""

    def draw(rng: Random, _subject: str) -> Item:
        number = rng.randrange(low, high + 1, step)
        answer = solve(number)
        slots = {"who": rng.choice(NAMES), "thing": rng.choice(THINGS), "n": str(number)}
        return Item(slots, str(answer), _near(answer, rng))

    return Content(draw, NUMBERS)


def _about_two(pairs: tuple[tuple[int, int], ...], solve: Callable[[int, int], int]) -> Content:
    """Questions about a pair of small numbers."""

    def draw(rng: Random, _subject: str) -> Item:
        a, b = rng.choice(pairs)
        answer = solve(a, b)
        slots = {"a": str(a), "b": str(b), "who": rng.choice(NAMES), "thing": rng.choice(THINGS)}
        return Item(slots, str(answer), _near(answer, rng))

    return Content(draw, NUMBERS)


_SMALL = tuple((a, b) for a in range(1, 6) for b in range(1, 6))
_TAKE = tuple((a, b) for a in range(5, 10) for b in range(1, 6))
_TIMES = tuple((a, b) for a in range(2, 6) for b in range(2, 7))


TASKS = read_tasks(
    "arithmetic",
    {
        "double": _about_one(1, 20, 1, lambda n: 2 * n),
        "half": _about_one(2, 40, 2, lambda n: n // 2),
        "next_number": _about_one(1, 24, 1, lambda n: n + 1),
        "previous_number": _about_one(1, 24, 1, lambda n: n - 1),
        "square": _about_one(1, 10, 1, lambda n: n * n),
        "add_ten": _about_one(1, 24, 1, lambda n: n + 10),
        "sum": _about_two(_SMALL, lambda a, b: a + b),
        "difference": _about_two(_TAKE, lambda a, b: a - b),
        "product": _about_two(_TIMES, lambda a, b: a * b),
        "last_digit": _about_one(11, 34, 1, lambda n: n % 10),
    },
)
