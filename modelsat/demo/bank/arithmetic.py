"""Arithmetic with whole numbers from 0 to 100, in small stories."""

from collections.abc import Callable
from random import Random

from modelsat.demo.bank.spec import Item, TaskSpec
from modelsat.demo.bank.words import NAMES, NUMBERS, THINGS

FAMILY = "arithmetic"


def _near(answer: int, rng: Random) -> tuple[str, ...]:
    """Three wrong numbers close to the answer, within 0..100."""
    near = [n for n in range(max(0, answer - 12), min(100, answer + 12) + 1) if n != answer]
    return tuple(str(n) for n in rng.sample(near, 3))


def _about_one(
    low: int, high: int, step: int, solve: Callable[[int], int]
) -> Callable[[Random, str], Item]:
    """Questions about one number n in low..high."""

    def draw(rng: Random, _subject: str) -> Item:
        number = rng.randrange(low, high + 1, step)
        answer = solve(number)
        slots = {"who": rng.choice(NAMES), "thing": rng.choice(THINGS), "n": str(number)}
        return Item(slots, str(answer), _near(answer, rng))

    return draw


def _about_two(
    pairs: tuple[tuple[int, int], ...], solve: Callable[[int, int], int]
) -> Callable[[Random, str], Item]:
    """Questions about a pair of small numbers."""

    def draw(rng: Random, _subject: str) -> Item:
        a, b = rng.choice(pairs)
        answer = solve(a, b)
        slots = {"a": str(a), "b": str(b), "who": rng.choice(NAMES), "thing": rng.choice(THINGS)}
        return Item(slots, str(answer), _near(answer, rng))

    return draw


_SMALL = tuple((a, b) for a in range(1, 6) for b in range(1, 6))
_TAKE = tuple((a, b) for a in range(5, 10) for b in range(1, 6))
_TIMES = tuple((a, b) for a in range(2, 6) for b in range(2, 7))


def _task(
    slug: str,
    keywords: tuple[str, str, str, str, str],
    draw: Callable[[Random, str], Item],
    wordings: tuple[str, ...],
    test_wordings: tuple[str, ...],
) -> TaskSpec:
    return TaskSpec(f"{FAMILY}_{slug}", FAMILY, keywords, wordings, test_wordings, draw, NUMBERS)


TASKS = (
    _task(
        "double",
        ("arithmetic", "double", "twice", "multiply", "two"),
        _about_one(1, 20, 1, lambda n: 2 * n),
        (
            "{who} has {n} {thing} and wants double that. How many is double?",
            "What is twice the {n} {thing} that {who} owns?",
            "{who} counted {n} {thing}. Double this number, what do you get?",
            "If {who} will double {n} {thing}, how many will there be?",
            "{who} sold twice as many {thing} as the {n} of last week. How many were sold?",
        ),
        (
            "Suppose {who} has {n} {thing}. Can you tell me twice that number?",
            "How many {thing} make double the {n} of {who}?",
        ),
    ),
    _task(
        "half",
        ("arithmetic", "half", "halve", "divide", "share"),
        _about_one(2, 40, 2, lambda n: n // 2),
        (
            "{who} gives away half of {n} {thing}. How many is half?",
            "What is half of the {n} {thing} that {who} owns?",
            "{who} counted {n} {thing}. Take half of this number, what do you get?",
            "If {who} keeps only half of {n} {thing}, how many are kept?",
            "{who} lost half of the {n} {thing} last week. How many were lost?",
        ),
        (
            "Suppose {who} has {n} {thing}. Can you tell me half of that number?",
            "How many {thing} make half the {n} of {who}?",
        ),
    ),
    _task(
        "next_number",
        ("arithmetic", "counting", "next", "after", "one more"),
        _about_one(1, 24, 1, lambda n: n + 1),
        (
            "{who} is counting {thing} and has just said {n}. Which number comes next?",
            "{who} has {n} {thing} and finds one more. How many now?",
            "Counting {thing} with {who}: which number comes right after {n}?",
            "When {who} gets one more than {n} {thing}, how many is that?",
            "The ticket of {who} for the {thing} is {n}. What is the next number after it?",
        ),
        (
            "Help {who} count the {thing}: we are at {n}, so what is the next number?",
            "There were {n} {thing} and {who} brings one more. What is the count after that?",
        ),
    ),
    _task(
        "previous_number",
        ("arithmetic", "counting", "previous", "before", "one less"),
        _about_one(1, 24, 1, lambda n: n - 1),
        (
            "{who} is counting {thing} backwards and has just said {n}. Which number is previous?",
            "{who} had {n} {thing} and now has one less. How many now?",
            "Counting {thing} with {who}: which number comes right before {n}?",
            "When {who} has one less than {n} {thing}, how many is that?",
            "The ticket of {who} for the {thing} is {n}. What is the previous number before it?",
        ),
        (
            "Help {who} count {thing} backwards: we are at {n}, so what is the previous number?",
            "There were {n} {thing} but {who} left with one less. What is the count before that?",
        ),
    ),
    _task(
        "square",
        ("arithmetic", "square", "itself", "multiply", "power"),
        _about_one(1, 10, 1, lambda n: n * n),
        (
            "{who} lays {thing} in a square with {n} on each side. How many in the square?",
            "What is the square of {n}? {who} counts {thing} with it.",
            "{who} multiplies the {n} {thing} by itself. What is the square?",
            "{n} rows of {n} {thing} make a square for {who}. How many is that?",
        ),
        (
            "Can you tell {who} the square of the number {n} on the {thing}?",
            "With {n} on each side of the square, how many {thing} does {who} need?",
        ),
    ),
    _task(
        "add_ten",
        ("arithmetic", "addition", "ten", "plus", "more"),
        _about_one(1, 24, 1, lambda n: n + 10),
        (
            "{who} has {n} {thing} and gets ten more. How many now?",
            "What is {n} plus ten, when {who} counts {thing}?",
            "Add ten to the {n} {thing} of {who}. What do you get?",
            "If {who} finds ten more than {n} {thing}, how many is that?",
        ),
        (
            "Can you tell {who} how many {thing} it is when ten come to the {n}?",
            "There were {n} {thing}, then {who} brings ten more. What is the count?",
        ),
    ),
    _task(
        "sum",
        ("arithmetic", "addition", "sum", "plus", "together"),
        _about_two(_SMALL, lambda a, b: a + b),
        (
            "{who} has {a} {thing} plus {b} more. What is the sum?",
            "What is {a} plus {b} when {who} adds {thing}?",
            "{who} finds {a} {thing} and then {b}. How many together?",
            "Add {a} {thing} and {b} for {who}. What is the sum?",
            "If {who} puts {a} {thing} and {b} together, how many is it?",
        ),
        (
            "Can you tell {who} the sum when {a} {thing} and {b} come together?",
            "With {a} {thing} plus {b} in the bag of {who}, what is the count?",
        ),
    ),
    _task(
        "difference",
        ("arithmetic", "subtraction", "difference", "minus", "left"),
        _about_two(_TAKE, lambda a, b: a - b),
        (
            "{who} has {a} {thing} and gives {b} away. How many are left?",
            "What is {a} minus {b} when {who} takes {thing}?",
            "{who} had {a} {thing} but lost {b}. What is left?",
            "Take {b} from {a} {thing} for {who}: {a} minus {b} is what?",
            "What is the difference between {a} and {b} {thing} of {who}?",
        ),
        (
            "Can you tell {who} what is left of {a} {thing} minus {b}?",
            "From {a} {thing} {who} sold {b}. How many are left now?",
        ),
    ),
    _task(
        "product",
        ("arithmetic", "multiplication", "times", "product", "table"),
        _about_two(_TIMES, lambda a, b: a * b),
        (
            "{who} has {a} boxes with {b} {thing} in each. How many in all?",
            "What is {a} times {b} when {who} packs {thing}?",
            "{who} buys {a} times {b} {thing}. What is the product?",
            "Multiply {a} by {b} {thing} for {who}. What do you get?",
            "If {who} fills {a} bags with {b} {thing} in each, how many in all?",
        ),
        (
            "Can you tell {who} the product of {a} times {b} {thing}?",
            "There are {a} shelves with {b} {thing} in each. What does {who} count in all?",
        ),
    ),
    _task(
        "last_digit",
        ("arithmetic", "digit", "last", "ones", "number"),
        _about_one(11, 34, 1, lambda n: n % 10),
        (
            "{who} has {n} {thing}. What is the last digit of that number?",
            "Which digit stands last in {n}, the {thing} of {who}?",
            "{who} wrote {n} on the box of {thing}. What is the ones digit?",
            "Look at the {n} {thing} of {who}. What is the last digit?",
            "The {thing} of {who} cost {n}. Which digit is in the ones place?",
        ),
        (
            "Can you tell {who} which digit {n} ends with on the {thing}, the last one?",
            "In {n}, the number on the {thing}, what ones digit does {who} see?",
        ),
    ),
)
