"""Number words of several languages, and translation into an invented language."""

from collections.abc import Mapping
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, in_json, number, read_data, read_tasks
from modelsat.aptitude.general.words import GOODS, PLACES, invented

_DATA = read_data("languages")


def _below_hundred(value: int, words: Mapping[str, Any]) -> str:
    if value < len(words["ones"]):
        return str(words["ones"][value])
    if value in words["exceptions"]:
        return str(words["exceptions"][value])
    tens, ones = divmod(value, 10)
    if not words["tens"][tens]:  # French 70 is 60 and 10
        tens, ones = tens - 1, ones + 10
    first = words["joined_ones"].get(ones, words["ones"][ones])
    return str(
        words["pair"].format(tens=words["tens"][tens], ones=first) if ones else words["tens"][tens]
    )


def _below_thousand(value: int, words: Mapping[str, Any]) -> str:
    hundreds, rest = divmod(value, 100)
    if not hundreds:
        return _below_hundred(rest, words)
    if not rest:
        return str(words["whole_hundreds"][hundreds])
    return f"{words['hundreds'][hundreds]}{words['hundred_joint']}{_below_hundred(rest, words)}"


def number_words(value: int, language: str) -> str:
    """Return a number in words.

    Args:
        value: 1 to 999,999.
        language: German, Spanish, French or Danish.
    """
    words = _DATA["numbers"][language]
    thousands, rest = divmod(value, 1000)
    if not thousands:
        return _below_thousand(rest, words)
    count = _below_thousand(thousands, words)
    ending = next((end for end in words["before_thousand"] if count.endswith(end)), "")
    count = count.removesuffix(ending) + words["before_thousand"].get(ending, "")
    head = words["one_thousand"] if thousands == 1 else f"{count}{words['thousand']}"
    joint = words["small_joint"] if rest < 100 else words["thousand_joint"]
    return f"{head}{joint}{_below_thousand(rest, words)}" if rest else str(head)


def _numbers(rng: Random, level: int) -> Item:
    count, top = ((1, 999), (1, 9_999), (2, 9_999), (3, 99_999), (4, 999_999))[level - 1]
    languages, factor = (
        rng.sample([*_DATA["numbers"]][: 3 if level <= 2 else 4], count),
        rng.randint(3, 9),
    )
    things, places = rng.sample(GOODS, count), rng.sample(PLACES, count)
    total = 0
    more: list[str] = []
    for language, thing, place in zip(languages, things, places, strict=True):
        value, sign = rng.randint(top // 30, top), rng.choice((-1, 1)) if more else 1
        total += sign * value
        text = (
            f'the number of {thing} in {place}, "{number_words(value, language)}" (in {language})'
        )
        more.append(f"; then {'adds' if sign > 0 else 'subtracts'} {text}" if more else text)
    result = total * factor if level == 5 else total
    return number(result, first=more[0], more="".join(more[1:]), factor=factor)


def _phrase(rng: Random, level: int) -> tuple[str, str, bool]:
    """Return an adjective (or none), a noun, and whether it is plural."""
    adjective = rng.choice(_DATA["adjectives"]) if level >= 3 else ""
    return adjective, rng.choice(_DATA["subjects"]), level >= 2 and rng.random() < 0.6


def _english(phrase: tuple[str, str, bool]) -> str:
    adjective, noun, is_plural = phrase
    noun = _DATA["plurals"].get(noun, f"{noun}s") if is_plural else noun
    return " ".join(word for word in ("the", adjective, noun) if word)


def _acting(verb: str, is_past: bool, is_plural: bool, is_negative: bool) -> str:
    """Return an English verb in the form that a sentence needs."""
    if is_negative:
        return f"{'did' if is_past else 'do' if is_plural else 'does'} not {verb}"
    if is_past:
        return str(_DATA["pasts"].get(verb, f"{verb}ed"))
    return verb if is_plural else f"{verb}s"


def _translation(rng: Random, level: int) -> Item:
    """Ask for a sentence in an invented language with as many rules as the level has."""
    english = [*_DATA["subjects"], *_DATA["verbs"], *_DATA["adjectives"]]
    words = dict(zip(english, invented(rng, len(english)), strict=True))
    plural, past, vowel, consonant, no = rng.sample(_DATA["affixes"], 5)
    order = rng.sample(("subject", "verb", "object"), 3)
    subject, thing, verb = _phrase(rng, level), _phrase(rng, level), rng.choice(_DATA["verbs"])
    is_past, is_negative = level >= 3 and rng.random() < 0.7, level >= 4 and rng.random() < 0.7
    parts = {"verb": [(past if is_past else "") + words[verb]]}
    if level == 5 and subject[2]:
        parts["verb"][0] += words[verb][-3:]
    for name, (adjective, noun, is_plural) in (("subject", subject), ("object", thing)):
        word, ending = words[noun] + (plural if is_plural else ""), plural if is_plural else ""
        if level >= 4 and name == "object":
            word += vowel if word[-1] in "aeiou" else consonant
        agreeing = words.get(adjective, "") + (ending if level == 5 else "")
        parts[name] = [word, agreeing] if adjective else [word]
    result = [word for name in order for word in parts[name]] + [no] * is_negative
    shown = [*dict.fromkeys(word for word in (*subject[:2], *thing[:2], verb) if word)]
    shown += rng.sample([word for word in english if word not in shown], 3)
    rules = " ".join(_DATA["rules"][:level]).format(
        order=", ".join(order), plural=plural, past=past, vowel=vowel, consonant=consonant, no=no
    )
    acting = _acting(verb, is_past, subject[2], is_negative)
    return in_json(
        " ".join(result),
        rules=rules,
        dictionary=", ".join(f"{word} = {words[word]}" for word in rng.sample(shown, len(shown))),
        sentence=f"{_english(subject)} {acting} {_english(thing)}",
    )


TASKS = read_tasks("languages", number_words=_numbers, invented_languages=_translation)
