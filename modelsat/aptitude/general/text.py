"""Letters of words: counting, ciphers and unusual orders."""

from collections.abc import Callable, Sequence
from random import Random
from string import ascii_lowercase as ALPHABET
from typing import Any

from modelsat.aptitude.general.task import Item, in_json, listed, number, read_tasks
from modelsat.aptitude.general.words import NOUNS, invented

_ORDERS: tuple[Callable[[Any], Any], ...] = (  # keys by which words are sorted, by level
    lambda word: word,
    lambda word: (len(word), word),
    lambda word: word[::-1],
    lambda word: (word[1], -len(word), word),
    lambda word: (-_num_vowels(word), word[-1], word),
)


def _num_vowels(word: str) -> int:
    return sum(letter in "aeiou" for letter in word)


def _letters(rng: Random, level: int) -> Item:
    words = rng.sample(NOUNS, (rng.randint(2, 5), 9, 10, 13, 16)[level - 1])
    (a, b), vowels = rng.sample("acdehilmnoprst", 2), rng.randint(2, 3)
    holds: Callable[[str], bool] = (
        lambda word: True,
        lambda word: a in word,
        lambda word: a in word or b in word,
        lambda word: a in word and b not in word,
        lambda word: _num_vowels(word) == vowels,
    )[level - 1]
    total = sum(len(word) for word in words if holds(word))
    return number(total, words=listed(words), a=a, b=b, vowels=vowels)


def _shifted(text: str, shifts: Sequence[int]) -> str:
    places = [ALPHABET.index(c) + shifts[i % len(shifts)] for i, c in enumerate(text)]
    return "".join(ALPHABET[place % 26] for place in places)


def _cipher(rng: Random, level: int) -> Item:
    word = "".join(invented(rng, (1, 1, 2, 2, 3)[level - 1]))
    count, low, high = ((1, 1, 3), (1, 4, 22), (3, 1, 9), (4, 1, 9), (5, 1, 9))[level - 1]
    shifts = [rng.randint(low, high) for _ in range(count)]
    result = _shifted(word, shifts)
    if level in (2, 4, 5):
        result = result[::-1]
    if level == 5:
        result = "".join(result[i : i + 2][::-1] for i in range(0, len(result), 2))
    return in_json(result, word=word, shifts=", ".join(map(str, shifts)))


def _sorting(rng: Random, level: int) -> Item:
    words: list[str] = rng.sample(NOUNS, (4, 5, 7, 9, 12)[level - 1])
    order = sorted(words, key=_ORDERS[level - 1])
    return in_json(order, words=", ".join(words))


TASKS = read_tasks("text", letter_counts=_letters, ciphers=_cipher, word_orders=_sorting)
