"""Constraints on a text that a program can verify, of the kinds of IFEval (Zhou et al. 2023).

Each is a function of the text and its settings that says whether the text meets it
(https://arxiv.org/abs/2311.07911).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from modelsat.grading.marked import json_document
from modelsat.grading.normal_text import words

Settings = Mapping[str, Any]
# White space after a stop, or nothing after a stop of a script without spaces.
_SENTENCE_END = re.compile(
    r"[.!?\u2026][\"'\u201d\u2019)\]]*(?:\s+|\Z)|[\u3002\uff01\uff1f\u0964]+"
)
_ABBREVIATION = re.compile(
    r"\b(?:e\.\s?g|i\.\s?e|cf|vs|dr|mrs?|ms|prof|st|jr|sr|fig|no)\.(?=\s+\S)", re.IGNORECASE
)
_BULLET = re.compile(r"^[ \t]*(?:[*+\u2022-]|\d+[.)])[ \t]+\S", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*\*[^*\n]+\*\*|(?<!\*)\*[^*\n]+\*(?!\*)")
_MARKUP = ' \t\n"*_#>'  # before the first word
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
_TITLE = re.compile(r"<<[^<>\n]+>>")
_SCRIPTS = {  # of languages that one script tells apart from others
    "ar": "\u0600-\u06ff",
    "he": "\u0590-\u05ff",
    "hi": "\u0900-\u097f",
    "th": "\u0e00-\u0e7f",
    "ko": "\uac00-\ud7af",
    "ja": "\u3040-\u30ff\u4e00-\u9fff",
    "zh": "\u4e00-\u9fff",
    "ru": "\u0400-\u04ff",
    "el": "\u0370-\u03ff",
}
_KANA = re.compile("[\u3040-\u30ff]")
_SOME_OF_A_TEXT = 0.1  # kana, by which Japanese differs from Chinese
_MOST_OF_A_TEXT = 0.6  # of its letters; names and numbers may be in another script


def _within(number: int, settings: Settings) -> bool:
    """Return whether a number is at least ``min`` and at most ``max``."""
    low, high = settings.get("min", 0), settings.get("max", number)
    return bool(low <= number <= high)


def _paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n\s*\n|\n\s*\*\*\*\s*\n", text) if part.strip()]


def _num_sentences(text: str) -> int:
    whole = _ABBREVIATION.sub(lambda found: found.group().replace(".", ""), text)
    return sum(bool(words(part)) for part in _SENTENCE_END.split(whole))


def _count(text: str, settings: Settings) -> int:
    """Return how often ``of`` occurs as words, whatever their case."""
    pattern = rf"(?<!\w){re.escape(str(settings['of']))}(?!\w)"
    return len(re.findall(pattern, text, re.IGNORECASE))


def _is_json(text: str, _settings: Settings) -> bool:
    try:
        json.loads(text.strip().removeprefix("```json").removeprefix("```").removesuffix("```"))
    except (ValueError, RecursionError):
        return json_document(text) is not None and text.strip().startswith("```")
    return True


def _is_in_language(text: str, settings: Settings) -> bool:
    letters = [char for char in text if char.isalpha()]
    script = re.compile(f"[{_SCRIPTS[settings['of']]}]")
    own = sum(bool(script.match(char)) for char in letters)
    if not letters or own < _MOST_OF_A_TEXT * len(letters):
        return False
    has_kana = len(_KANA.findall(text)) >= _SOME_OF_A_TEXT * len(letters)
    return bool(has_kana == (settings["of"] == "ja"))


# Name, and how it is verified. `min` and `max` bound a count; `of` says what is counted or meant.
CONSTRAINTS: dict[str, Callable[[str, Settings], bool]] = {
    "words": lambda text, s: _within(len(words(text)), s),
    "sentences": lambda text, s: _within(_num_sentences(text), s),
    "paragraphs": lambda text, s: _within(len(_paragraphs(text)), s),
    "characters": lambda text, s: _within(len(text), s),
    "bullets": lambda text, s: _within(len(_BULLET.findall(text)), s),
    "highlights": lambda text, s: _within(len(_HIGHLIGHT.findall(text)), s),
    "placeholders": lambda text, s: _within(len(_PLACEHOLDER.findall(text)), s),
    "keyword": lambda text, s: _within(_count(text, s), {"min": 1, **s}),
    "no_keyword": lambda text, s: _count(text, s) == 0,
    "letter": lambda text, s: _within(text.lower().count(str(s["of"]).lower()), {"min": 1, **s}),
    "starts_with": lambda text, s: any(
        start.lower().startswith(str(s["of"]).lower()) for start in (text, text.lstrip(_MARKUP))
    ),
    "ends_with": lambda text, s: text.strip().strip('"').lower().endswith(str(s["of"]).lower()),
    "lower_case": lambda text, _s: text == text.lower(),
    "upper_case": lambda text, _s: text.isupper(),
    "no_comma": lambda text, _s: not re.search("[,\u060c\u3001\uff0c]", text),
    "quoted": lambda text, _s: len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] == '"',
    "title": lambda text, _s: bool(_TITLE.search(text)),
    "postscript": lambda text, _s: bool(re.search(r"^\s*P\.\s?S\.", text, re.MULTILINE | re.I)),
    "json": _is_json,
    "language": _is_in_language,
}
NEED_OF = frozenset({"keyword", "no_keyword", "letter", "starts_with", "ends_with", "language"})
LANGUAGES = tuple(_SCRIPTS)
