"""Number words of several languages, and translation into an invented language."""

from collections.abc import Mapping
from importlib.resources import files
from random import Random
from typing import Any

import yaml

from modelsat.aptitude.general.task import Item, json_item, number_item, tasks_of
from modelsat.aptitude.general.words import GOODS, NAMES, PLACES, invented

_LANGUAGES: Mapping[str, Any] = yaml.safe_load(
    files("modelsat.aptitude.general").joinpath("number_words.yaml").read_text("utf-8")
)


def _below_hundred(value: int, language: str) -> str:
    words = _LANGUAGES[language]
    if value < len(words["ones"]):
        return str(words["ones"][value])
    tens, ones = divmod(value, 10)
    if language == "French" and tens in (7, 9):
        tens, ones = tens - 1, ones + 10
    exact = words["exceptions"].get(value)
    if exact or not ones:
        return str(exact or words["tens"][tens])
    first = words["joined_ones"].get(ones, words["ones"][ones])
    return str(words["pair"]).format(tens=words["tens"][tens], ones=first)


def _below_thousand(value: int, language: str) -> str:
    words = _LANGUAGES[language]
    hundreds, rest = divmod(value, 100)
    if not hundreds:
        return _below_hundred(rest, language)
    whole = words["whole_hundreds"] if not rest else words["hundreds"]
    parts = [str(whole[hundreds])]
    if rest:
        parts.append(_below_hundred(rest, language))
    return str(words["hundred_joint"]).join(parts)


def number_words(value: int, language: str) -> str:
    """Return a number in words.

    Args:
        value: 1 to 999,999.
        language: German, Spanish, French or Danish.
    """
    words = _LANGUAGES[language]
    thousands, rest = divmod(value, 1000)
    if not thousands:
        return _below_thousand(rest, language)
    number = _below_thousand(thousands, language)
    ending = next((end for end in words["before_thousand"] if number.endswith(end)), "")
    number = number.removesuffix(ending) + words["before_thousand"].get(ending, "")
    head = words["one_thousand"] if thousands == 1 else f"{number}{words['thousand']}"
    if not rest:
        return str(head)
    joint = words["small_joint"] if rest < 100 else words["thousand_joint"]
    return f"{head}{joint}{_below_thousand(rest, language)}"


def _numbers(rng: Random, level: int) -> Item:
    count, top = ((1, 999), (1, 9_999), (2, 9_999), (3, 99_999), (4, 999_999))[level - 1]
    languages = rng.sample([*_LANGUAGES], count)
    values = [rng.randint(top // 30, top) for _ in languages]
    parts = [
        f'the number of {thing} in {place}, "{number_words(value, language)}" (in {language})'
        for thing, place, value, language in zip(
            rng.sample(GOODS, count), rng.sample(PLACES, count), values, languages, strict=True
        )
    ]
    if level <= 2:
        return number_item(
            f"{rng.choice(NAMES)} notes {parts[0]}. Which number is that? Use digits.", values[0]
        )
    factor = rng.randint(3, 9) if level == 5 else 1
    signs = [1, *(rng.choice((-1, 1)) for _ in values[1:])]
    total = factor * sum(sign * value for sign, value in zip(signs, values, strict=True))
    text = parts[0] + "".join(
        f"; then {'adds' if sign > 0 else 'subtracts'} {part}"
        for sign, part in zip(signs[1:], parts[1:], strict=True)
    )
    end = f", and multiplies the result by {factor}" if level == 5 else ""
    return number_item(
        f"{rng.choice(NAMES)} takes {text}{end}. What is the result? Use digits.", total
    )


_SUBJECTS = "farmer king wolf child baker sailor teacher robot".split()
_VERBS = "see follow help call find greet".split()
_ADJECTIVES = "old small happy red quick brave".split()


def _phrase(rng: Random, level: int) -> tuple[str, str, bool]:
    """Return an adjective (or none), a noun, and whether it is plural."""
    adjective = rng.choice(_ADJECTIVES) if level >= 3 else ""
    return adjective, rng.choice(_SUBJECTS), level >= 2 and rng.random() < 0.6


def _noun(
    words: Mapping[str, str], phrase: tuple[str, str, bool], plural: str, marker: str, level: int
) -> list[str]:
    """Translate a noun with its adjective, which follows it."""
    adjective, noun, is_plural = phrase
    word = words[noun] + (plural if is_plural else "") + marker
    if level == 5 and is_plural and adjective:
        return [word, words[adjective] + plural]
    return [word, words[adjective]] if adjective else [word]


def _translation(rng: Random, level: int) -> Item:
    """Ask for a sentence in an invented language with as many rules as the level has."""
    english = [*_SUBJECTS, *_VERBS, *_ADJECTIVES]
    words = dict(zip(english, invented(rng, len(english)), strict=True))
    plural, past, object_mark, other_mark, negation = rng.sample(
        "ai em os ulu ni ke ota uwe ir".split(), 5
    )
    order = rng.choice(("SOV", "VSO", "OSV", "VOS", "OVS"))
    subject, thing = _phrase(rng, level), _phrase(rng, level)
    verb = rng.choice(_VERBS)
    is_past, is_negative = (
        level >= 3 and rng.random() < 0.7,
        level == 5 or (level == 4 and rng.random() < 0.5),
    )
    marker = ""
    if level >= 4:
        marker = (
            object_mark
            if (words[thing[1]] + (plural if thing[2] else ""))[-1] in "aeiou"
            else other_mark
        )
    action = (past if is_past else "") + words[verb]
    if level == 5 and subject[2]:
        action += words[verb][-3:]
    parts = {
        "S": _noun(words, subject, plural, "", level),
        "O": _noun(words, thing, plural, marker, level),
        "V": [action],
    }
    result = [word for part in order for word in parts[part]] + [negation] * is_negative
    names = {"S": "subject", "V": "verb", "O": "object"}
    rules = [f"The order is {', '.join(names[part] for part in order)}. There are no articles."]
    rules += [f"The plural of a noun has -{plural} at its end."] * (level >= 2)
    rules += [f"An adjective follows its noun. The past has {past}- before the verb."] * (
        level >= 3
    )
    rules += [
        f"The noun of the object has a further ending after all others: -{object_mark} after a vowel, "
        f"-{other_mark} after a consonant. A negative sentence ends with the word {negation}."
    ] * (level >= 4)
    rules += [
        "An adjective of a plural noun has the plural ending, too. If the subject is plural, the last "
        "three letters of the verb are written twice."
    ] * (level == 5)

    def phrase(part: tuple[str, str, bool]) -> str:
        nouns = {"wolf": "wolves", "child": "children"}
        noun = nouns.get(part[1], part[1] + "s") if part[2] else part[1]
        return " ".join(word for word in ("the", part[0], noun) if word)

    if is_negative:
        acting = f"{'did' if is_past else 'do' if subject[2] else 'does'} not {verb}"
    else:
        pasts = {"see": "saw", "find": "found"}
        acting = pasts.get(verb, verb + "ed") if is_past else verb + ("" if subject[2] else "s")
    shown = [*dict.fromkeys([subject[1], thing[1], verb, subject[0], thing[0]])]
    shown += rng.sample([word for word in english if word not in shown], 3)
    shown = rng.sample([word for word in shown if word], len([word for word in shown if word]))
    glossary = ", ".join(f"{word} = {words[word]}" for word in shown)
    return json_item(
        f"Rules of an invented language: {' '.join(rules)} Dictionary: {glossary}. Translate into it, in "
        f"lower case and without a full stop: {phrase(subject)} {acting} {phrase(thing)}.",
        " ".join(result),
    )


TASKS = tasks_of(
    "languages",
    {
        "number_words": (_numbers, "numerals, languages, translation, number words, multilingual"),
        "invented_languages": (_translation, "grammar, translation, rules, morphology, word order"),
    },
)
