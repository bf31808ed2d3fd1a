"""Texts under constraints that a program verifies; the constraints of a text fit together."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from modelsat.aptitude.general.task import Item, tasks_of
from modelsat.aptitude.general.words import GOODS, NOUNS, PLACES, people

Rule = tuple[str, dict[str, Any]]  # in words, and as a constraint of the grader

_COMMON = ("very", "also", "many", "because", "they", "will", "which", "from", "would", "there")


def _words(rng: Random) -> Rule:
    low = rng.randint(40, 90)
    high = low + rng.randint(8, 15)
    return f"Use {low} to {high} words.", {"kind": "words", "min": low, "max": high}


def _sentences(rng: Random) -> Rule:
    count = rng.randint(4, 7)
    return f"Write exactly {count} sentences.", {"kind": "sentences", "min": count, "max": count}


def _paragraphs(rng: Random) -> Rule:
    count = rng.randint(2, 4)
    return (
        f"Write exactly {count} paragraphs, with an empty line between them.",
        {"kind": "paragraphs", "min": count, "max": count},
    )


def _characters(rng: Random) -> Rule:
    high = rng.randint(700, 900)
    return (f"Use at most {high} characters, spaces included.", {"kind": "characters", "max": high})


def _keyword(rng: Random) -> Rule:
    word, count = rng.choice(NOUNS), rng.randint(2, 4)
    return (
        f'Use the word "{word}" exactly {count} times.',
        {"kind": "keyword", "of": word, "min": count, "max": count},
    )


def _mention(rng: Random) -> Rule:
    word = rng.choice(PLACES)
    return f"Mention {word}.", {"kind": "keyword", "of": word}


def _avoided(rng: Random) -> Rule:
    word = rng.choice(_COMMON)
    return f'Do not use the word "{word}".', {"kind": "no_keyword", "of": word}


def _articles(rng: Random) -> Rule:
    word = rng.choice(("the", "and", "is", "of"))
    return f'Do not use the word "{word}" at all.', {"kind": "no_keyword", "of": word}


def _rare_letter(rng: Random) -> Rule:
    letter, count = rng.choice("qxzj"), rng.randint(4, 7)
    return (
        f'Use the letter "{letter}" at least {count} times.',
        {"kind": "letter", "of": letter, "min": count},
    )


def _few_letters(rng: Random) -> Rule:
    letter, count = rng.choice("bfgpwy"), rng.randint(2, 5)
    return (
        f'Use the letter "{letter}" at most {count} times.',
        {"kind": "letter", "of": letter, "min": 0, "max": count},
    )


def _start(rng: Random) -> Rule:
    word = rng.choice(("Once", "Here", "Today", "Nobody", "Perhaps", "Imagine", "Every"))
    return f'Begin with the word "{word}".', {"kind": "starts_with", "of": word}


def _end(rng: Random) -> Rule:
    words = rng.choice(
        ("That is all.", "Good night.", "See you soon.", "Think about it.", "So it goes.")
    )
    return f'End with exactly these words: "{words}"', {"kind": "ends_with", "of": words}


def _no_comma(_rng: Random) -> Rule:
    return "Use no comma.", {"kind": "no_comma"}


def _lower(_rng: Random) -> Rule:
    return "Use no capital letter anywhere.", {"kind": "lower_case"}


def _upper(_rng: Random) -> Rule:
    return "Write everything in capital letters.", {"kind": "upper_case"}


def _bullets(rng: Random) -> Rule:
    count = rng.randint(3, 6)
    return (
        f"Include exactly {count} bullet points: lines that begin with an asterisk and a space.",
        {"kind": "bullets", "min": count, "max": count},
    )


def _highlights(rng: Random) -> Rule:
    count = rng.randint(2, 4)
    return (
        f"Highlight exactly {count} passages in bold, **like this**.",
        {"kind": "highlights", "min": count, "max": count},
    )


def _placeholders(rng: Random) -> Rule:
    count = rng.randint(2, 5)
    return (
        f"Include exactly {count} placeholders in square brackets, such as [name].",
        {"kind": "placeholders", "min": count, "max": count},
    )


def _title(_rng: Random) -> Rule:
    return "Include a title in double angle brackets, <<like this>>.", {"kind": "title"}


def _postscript(_rng: Random) -> Rule:
    return 'Add a last paragraph that begins with "P.S." or "p.s.".', {"kind": "postscript"}


_Draw = Callable[[Random], Rule]
# Each tuple holds alternatives, of which a question uses one. Later tuples are for higher levels.
_LENGTH: tuple[tuple[_Draw, ...], ...] = (
    (_words,),
    (_sentences, _paragraphs),
    (_mention,),
    (_avoided,),
    (_few_letters,),
    (_characters,),
    (_no_comma,),
)
_WORDING: tuple[tuple[_Draw, ...], ...] = (
    (_keyword,),
    (_start, _end),
    (_avoided, _articles),
    (_rare_letter,),
    (_no_comma,),
    (_few_letters,),
    (_mention,),
    (_words,),
)
_FORMAT: tuple[tuple[_Draw, ...], ...] = (
    (_bullets, _highlights),
    (_title,),
    (_lower, _upper),
    (_placeholders,),
    (_avoided,),
    (_keyword,),
    (_postscript,),
    (_rare_letter,),
)


def _text(groups: Sequence[tuple[_Draw, ...]]) -> Callable[[Random, int], Item]:
    """Return how a text is asked for under constraints of these groups."""

    def draw(rng: Random, level: int) -> Item:
        count = (1, 2, 4, 6, len(groups))[level - 1]
        first = rng.randrange(2) if level == 1 else 0
        rules = [rng.choice(group)(rng) for group in groups[first : first + count]]
        rng.shuffle(rules)
        who, other = people(rng, 2)
        thing, place = rng.choice(GOODS), rng.choice(PLACES)
        topic = rng.choice(
            (
                f"a short note from {who} to {other} about the {thing}",
                f"a short story about {who}, {other} and some old {thing}",
                f"a short advertisement for the {thing} that {who} sells to {other}",
                f"a short report for {other} on how {who} lost the {thing}",
            )
        )
        lines = "\n".join(f"- {text}" for text, _ in rules)
        where = f" in {place}" if level <= 3 else ""
        return Item(
            f"Write {topic}{where}. Follow all of these rules:\n{lines}\nAnswer with the text alone.",
            "",
            "instructions",
            {"constraints": [constraint for _, constraint in rules]},
        )

    return draw


TASKS = tasks_of(
    "instructions",
    {
        "length_rules": (
            _text(_LENGTH),
            "instruction following, length, words, sentences, constraints",
        ),
        "wording_rules": (_text(_WORDING), "instruction following, wording, letters, words, style"),
        "format_rules": (_text(_FORMAT), "instruction following, format, bullets, title, layout"),
    },
)
