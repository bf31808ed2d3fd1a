"""Letters of words: counting, ciphers and unusual orders."""

from collections.abc import Callable, Sequence
from random import Random
from string import ascii_lowercase as ALPHABET

from modelsat.aptitude.general.task import Item, json_item, number_item, tasks_of
from modelsat.aptitude.general.words import NAMES, NOUNS, invented

_VOWELS = "aeiou"


def _counted(rng: Random, level: int) -> tuple[str, Callable[[str], bool]]:
    """Return a condition on words, in words and as a predicate."""
    a, b = rng.sample("acdehilmnoprst", 2)
    n = rng.randint(2, 3)
    conditions: list[tuple[str, Callable[[str], bool]]] = [
        (f"contain the letter {a}", lambda w: a in w),
        (f"contain the letter {a} or the letter {b}, or both", lambda w: a in w or b in w),
        (f"do not contain the letter {a} but the letter {b}", lambda w: a not in w and b in w),
        (
            f"have exactly {n} vowels (a, e, i, o, u), repeated ones counted each time",
            lambda w: sum(c in _VOWELS for c in w) == n,
        ),
        (
            f"have {a} before the first {b}, or {a} without any {b}",
            lambda w: a in w and a not in w.partition(b)[2] or a in w.partition(b)[0],
        ),
    ]
    return conditions[level - 1]


def _letters(rng: Random, level: int) -> Item:
    who = rng.choice(NAMES)
    if level == 1:
        word, letter = "".join(rng.sample(NOUNS, 1)), ""
        letter = rng.choice(word)
        words = [word, *rng.sample(NOUNS, 2)]
        return number_item(
            f"{who} writes: {' '.join(words)}. How many letters does {who} write in all?",
            sum(map(len, words)),
        )
    words = rng.sample(NOUNS, (6, 8, 12, 16)[level - 2])
    text, holds = _counted(rng, rng.choice(((1,), (1, 2), (2, 3), (3, 4))[level - 2]))
    return number_item(
        f"{who} writes: {' '.join(words)}. How many letters do those of these words have in all that "
        f"{text}?",
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
_ORDERS: tuple[tuple[str, Callable[[str], object]], ...] = (
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
    (
        "by the number of different letters from few to many, equal ones by their third letter, then "
        "alphabetically backwards (z before a)",
        lambda w: (len({*w}), w[2], [-ord(c) for c in w], -len(w)),
    ),
)


def _sorting(rng: Random, level: int) -> Item:
    size, orders = ((4, (0,)), (5, (1,)), (7, (1, 2)), (9, (2, 3, 4)), (12, (3, 4, 5)))[level - 1]
    text, key = _ORDERS[rng.choice(orders)]
    words = rng.sample(NOUNS, size)
    return json_item(
        f"{rng.choice(NAMES)} sorts these words {text}: {', '.join(words)}. List them in the new order.",
        sorted(words, key=key),  # type: ignore[arg-type]
    )


TASKS = tasks_of(
    "text",
    {
        "letter_counts": (_letters, "letters, counting, words, spelling, characters"),
        "ciphers": (_cipher, "cipher, encoding, letters, alphabet, transformation"),
        "word_orders": (_sorting, "sorting, words, alphabetical order, letters, comparison"),
    },
)
