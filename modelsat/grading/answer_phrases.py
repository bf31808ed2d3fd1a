"""Words with which people and models announce, conclude, confirm, deny or refuse an answer.

``languages.yaml`` holds them, language by language; this module makes one pattern of each kind.
"""

import re
from importlib.resources import files

import yaml

_FILLER = r"(?:[ \t]+(?!is\b|was\b)[^\s.;:!?]+){0,6}?"  # words between the noun and its verb
_SPACE = r"[ \t]*"
_TICKS, _CROSSES = "\u2705\u2713\u2714", "\u274c\u2717\u2718"
_ARROW = r"(?:[:=\uff1a]|->|=>|\u2192|\u2014|\u2013)"  # arrow, em dash, en dash


def _load() -> dict[str, dict[str, str]]:
    text = files(__package__).joinpath("languages.yaml").read_text(encoding="utf-8")
    languages: dict[str, dict[str, str]] = yaml.safe_load(text)
    return languages


_LANGUAGES = _load()


def _words(kind: str) -> str:
    """Return one pattern for a kind of words of all languages."""
    found = []
    for words in _LANGUAGES.values():
        if kind in words:
            pattern = "(?:" + words[kind].replace("\n", "") + ")"
            found.append(rf"(?<!\w){pattern}(?!\w)" if words.get("spaced") else pattern)
    return f"(?:{'|'.join(found)})"


def _statements() -> str:
    """Return a pattern of noun and verb: "the best choice is", "die Antwort lautet"."""
    found = [
        rf"(?<!\w)(?:{words['noun']})(?!\w){_FILLER}[ \t]+(?:{words['verb']})(?!\w)"
        for words in _LANGUAGES.values()
        if "noun" in words
    ]
    return f"(?:{'|'.join(found)})"


_NOUNS = rf"{_SPACE}(?:{_words('before')}{_SPACE})*"
_ADVERB = rf"(?:{_words('adverb')}{_SPACE})?"
# Ends where the answer begins.
ANNOUNCED = re.compile(
    rf"(?:{_statements()}|{_words('announcing')}"
    rf"|{_words('label')}(?:{_SPACE}\([^()\n]{{1,20}}\))?{_SPACE}(?:{_ARROW}|\n))"
    rf"\s*(?:{_ARROW}|-|,)?\s*{_ADVERB}{_NOUNS}",
    re.IGNORECASE,
)
# Ends where a conclusion begins; it is the answer only if it names one alone.
CONCLUDED = re.compile(
    rf"(?:{_words('concluding')}|\u2192|=>|\u21d2|\u2234){_SPACE}[:,]?{_SPACE}"
    rf"(?:{_words('concluding')}{_SPACE})?{_ADVERB}{_NOUNS}",
    re.IGNORECASE,
)
# Ends where the answer that replaces an earlier one begins.
CORRECTED = re.compile(rf"(?<![^\W_]){_words('correcting')}[,:]?{_SPACE}{_NOUNS}", re.IGNORECASE)
BECAUSE = re.compile(rf",?\s*{_words('because')}", re.IGNORECASE)
_VERDICT = rf"[^\n,;]{{0,100}}?(?::|[-\u2013\u2014]){_SPACE}"  # "B. Paris: yes"
_VERDICT_END = rf"{_SPACE}(?=[.,;!\n]|\Z)"
# Begins where the answer has ended.
CONFIRMED = re.compile(
    rf"{_SPACE}{_words('confirming')}|[^\n]{{0,100}}?[{_TICKS}]"
    rf"|{_VERDICT}(?:yes|correct|right|true){_VERDICT_END}",
    re.IGNORECASE,
)
LISTED = _words("listing")
DENYING = re.compile(rf"{_words('denying')}|n['\u2019]t\b", re.IGNORECASE)
DENIED_BEFORE = re.compile(
    rf"(?:{_words('denying')}|n['\u2019]t)[ \t:]*(?:(?:\w+\s+)?(?:be|in|at|on|by|from|to)\s+)?"
    rf"{_NOUNS}[(\[]?\Z",
    re.IGNORECASE,
)
DENIED_AFTER = re.compile(
    rf"[)\].:]?\s*(?:\([^()\n]*\)\s*)?{_words('denied')}|\?\s*no\b|[^\n{_TICKS}]{{0,100}}?[{_CROSSES}]"
    rf"|{_VERDICT}(?:no|not correct|incorrect|wrong|false){_VERDICT_END}",
    re.IGNORECASE,
)
DOUBTED = re.compile(rf"{_words('doubting')}\s*(?:\w+\s+){{0,2}}\Z", re.IGNORECASE)
CONCEDED = re.compile(rf",?\s*{_words('conceding')}[^,.;]*[,.;]?", re.IGNORECASE)
REFUSED = re.compile(_words("refusing"), re.IGNORECASE)
