"""Letters of words: counting, ciphers and unusual orders."""

from collections.abc import Callable, Sequence
from random import Random
from string import ascii_lowercase as ALPHABET
from typing import Any

from modelsat.aptitude.general.task import Item, json_item, number_item, tasks_of
from modelsat.aptitude.general.words import NAMES, NOUNS, invented

_VOWELS = "aeiou"


def _letters(rng: Random, level: int) -> Item:
    a, b = rng.sample("acdehilmnoprst", 2)
    num_vowels = rng.randint(2, 3)
    size, text, holds = (
        (3, "", lambda w: True),
        (6, f" that contain the letter {a}", lambda w: a in w),
        (8, f" that contain the letter {a}, the letter {b} or both", lambda w: a in w or b in w),
        (12, f" that contain the letter {a} but not {b}", lambda w: a in w and b not in w),
        (
            *(16, f" that have exactly {num_vowels} vowels (a, e, i, o, u; each one counts)"),
            lambda w: sum(c in _VOWELS for c in w) == num_vowels,
        ),
    )[level - 1]
    words = rng.sample(NOUNS, size)
    return number_item(
        f"{rng.choice(NAMES)} writes: {' '.join(words)}. How many letters do the words{text} have "
        "in all?",
        sum(len(word) for word in words if holds(word)),
    )


def _shifted(text: str, shifts: Sequence[int]) -> str:
    moved = (
        ALPHABET[(ALPHABET.index(c) + shifts[i % len(shifts)]) % 26] for i, c in enumerate(text)
    )
    return "".join(moved)


def _cipher(rng: Random, level: int) -> Item:
    who, word = rng.choice(NAMES), "".join(invented(rng, (1, 1, 2, 2, 3)[level - 1]))
    shift = rng.randint(1, 3) if level == 1 else rng.randint(4, 22)
    steps = [
        f"replace each letter by the letter {shift} places after it in the alphabet (a follows z)"
    ]
    result = _shifted(word, [shift])
    if level >= 3:
        key = [rng.randint(1, 9) for _ in range(level)]
        steps = [
            f"replace the letters by the letters {', '.join(map(str, key))} places after them in the "
            "alphabet (a follows z); when these numbers are used up, begin with the first of them again"
        ]
        result = _shifted(word, key)
    if level in (2, 4, 5):
        steps.append("reverse the word")
        result = result[::-1]
    if level == 5:
        steps.append("swap the first and the second letter, the third and the fourth, and so on")
        pairs = [result[i : i + 2][::-1] for i in range(0, len(result), 2)]
        result = "".join(pairs)
    return json_item(
        f"{who} enciphers the word {word}: {'; then '.join(steps)}. What is the result?", result
    )


# How words are ordered, and the key of the order.
_ORDERS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("alphabetically", lambda w: w),
    ("by length from short to long, equal lengths alphabetically", lambda w: (len(w), w)),
    ("as if each word were written backwards, alphabetically", lambda w: w[::-1]),
    (
        "by their second letter, equal ones by length from long to short, then alphabetically",
        lambda w: (w[1], -len(w), w),
    ),
    (
        "by the number of vowels (a, e, i, o, u) from many to few, equal ones by their last letter, then "
        "alphabetically",
        lambda w: (-sum(c in _VOWELS for c in w), w[-1], w),
    ),
)


def _sorting(rng: Random, level: int) -> Item:
    size, orders = ((4, (0,)), (5, (1,)), (7, (1, 2)), (9, (2, 3)), (12, (3, 4)))[level - 1]
    text, key = _ORDERS[rng.choice(orders)]
    words = rng.sample(NOUNS, size)
    return json_item(
        f"{rng.choice(NAMES)} sorts these words {text}: {', '.join(words)}. List them in the new order.",
        sorted(words, key=key),
    )


TASKS = tasks_of(
    "text",
    {
        "letter_counts": (_letters, "letters, counting, words, spelling, characters"),
        "ciphers": (_cipher, "cipher, encoding, letters, alphabet, transformation"),
        "word_orders": (_sorting, "sorting, words, alphabetical order, letters, comparison"),
    },
)
