"""Numbers as people write them: thousands, units, currencies, fractions, percent, words of size."""

import re
import unicodedata
from fractions import Fraction

_MAX_SEARCHED = 2_000
_MAX_CHARS = 200  # of a number with what stands around it
_SIGNS = str.maketrans("\u2212\u2013\u2014", "---")
_SIZES = {"k": 10**3, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_CURRENCY = r"[$\u20ac\u00a3\u00a5\u20b9\u20a9]"
_DIGITS = r"\d+(?:[,_' \u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d{3}){2,}(?:,\d+)?|\d+\.\d{3},\d+"
_VALUE = rf"(?:{_DIGITS}|\d+(?:[.,]\d+)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:{_CURRENCY}\s*)?(?P<inner>[-+]?)"
    rf"(?:(?P<whole>\d+)\s+(?=\d+\s*/))?(?P<value>{_VALUE})"
    r"(?:\s*/\s*(?P<divisor>\d+(?:\.\d+)?))?"
    r"(?:\s*(?:[eE]|(?:[x\u00d7*]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*)\{?(?P<power>[-+]?\d{1,3})\}?)?"
    r"(?:\s*(?P<percent>\\?%))?(?:\s*(?P<size>(?:(?<=\d)k|thousand|million|billion|trillion))s?\b)?"
)
_ANY_NUMBER = re.compile(rf"(?<![\w.])(?:{_NUMBER.pattern})(?!\w)")
_WORDS_FOLLOW = re.compile(r"\s*[.,;!]?(?:\s+(?!(?:and|or|to)\b)[A-Za-z(]|\s*\Z)")
# What may follow a number: a unit ("kg", "m^2", "dollars per day", "km/h"), closing punctuation. A
# single letter without a space is not a unit if it is a usual variable: "12x".
_LETTERS = "a-z\u00b5\u03bc\u03a9"  # with micro and ohm
_UNIT_WORD = rf"[{_LETTERS}]+\.?(?:\^?[23]|[\u00b2\u00b3])?"
_UNIT = re.compile(
    rf"(?:\s*{_CURRENCY}|\s*\u00b0\s*[CF]?|\s*\^?\\circ"
    rf"|(?:\s+|(?![abknptxyz]\b)){_UNIT_WORD}(?:(?:\s+|\s*/\s*){_UNIT_WORD}){{0,4}})?\s*[.!]?\s*\Z",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\A\s*\\?[A-Za-z]\w?\s*(?:=|\u2248|\\approx)\s*")


def number(text: str) -> Fraction | None:
    """Return the number that a text is, exactly; None if it says anything else.

    A unit or a currency may stand beside it, and a variable before it. A single comma with one
    or two digits after it, or more than three, is a decimal comma.

    Example:
        >>> number("$1,234.50"), number("x = 1/2"), number("2 or 3")
        (Fraction(2469, 2), Fraction(1, 2), None)
    """
    if len(text) > _MAX_CHARS:
        return None
    text = unicodedata.normalize("NFKC", text.replace("\u00bd", " 1/2")).translate(_SIGNS).strip()
    text = _VARIABLE.sub("", text.replace("\u2044", "/"))
    found = _NUMBER.match(text)
    if not found or not _UNIT.match(text, found.end()):
        return None
    if found["divisor"] and Fraction(found["divisor"]) == 0:
        return None
    return _value(found)


def leading_number(text: str) -> str | None:
    """Return the number at the start of a text if words, or nothing, follow: "$10 for an hour"."""
    found = _NUMBER.match(text.translate(_SIGNS))
    return found.group() if found and _WORDS_FOLLOW.match(text, found.end()) else None


def numbers_in(text: str) -> list[str]:
    """Return every number in a text as it stands there, whatever surrounds it."""
    text = unicodedata.normalize("NFKC", text[-_MAX_SEARCHED:]).translate(_SIGNS)
    return [place.group() for place in _ANY_NUMBER.finditer(text)]


def is_percent(text: str) -> bool:
    """Return whether a text states its number in percent."""
    return "%" in text


def _value(found: re.Match[str]) -> Fraction:
    value = _plain(found["value"]) / Fraction(found["divisor"] or 1)
    value = value + int(found["whole"] or 0)
    value *= Fraction(10) ** int(found["power"] or 0) * _SIZES.get(found["size"], 1)
    return -value if (found["sign"] == "-") != (found["inner"] == "-") else value


def _plain(digits: str) -> Fraction:
    if re.fullmatch(r"\d+(?:[,_' \u00a0\u202f]\d{3})+(?:\.\d+)?", digits):
        return Fraction(re.sub(r"[^\d.]", "", digits))
    if re.fullmatch(r"\d+(?:\.\d{3})+,\d+|\d+(?:\.\d{3}){2,}", digits):
        return Fraction(digits.replace(".", "").replace(",", "."))
    return Fraction(digits.replace(",", "."))
