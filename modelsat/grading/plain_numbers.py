"""Numbers as people write them: thousands, units, currencies, fractions, percent, words of size."""

import re
import unicodedata
from fractions import Fraction

from modelsat.grading.normal_text import OTHER_SCRIPTS, plain_signs

_MAX_SEARCHED = 2_000
_MAX_CHARS = 200  # of a number with what stands around it
_SIGNS = str.maketrans("\u2212\u2013\u2014\u2044\u3000", "---/ ")
_SIZES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LETTER_SIZES = {"k": 10**3, "M": 10**6, "B": 10**9}
_CURRENCY = r"(?:R\$|[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd])"
_DIGITS = (
    r"\d{1,2}(?:,\d\d)+,\d{3}(?:\.\d+)?"  # as in India: 12,34,567
    r"|\d{1,3}(?:[ \u00a0\u202f]\d{3})+,\d{1,2}(?!\d)"
    r"|\d+(?:[,_' \u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d{3}){2,}(?:,\d+)?|\d+\.\d{3},\d+"
)
_VALUE = rf"(?:{_DIGITS}|\d+(?:[.,]\d+)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<currency>{_CURRENCY}\s*)?(?P<inner>[-+]?)"
    rf"(?:(?P<whole>\d+)\s+(?=\d+\s*/))?(?P<value>{_VALUE})"
    r"(?:\s*/\s*(?P<divisor>\d+(?:\.\d+)?))?"
    r"(?:\s*(?:[eE]|(?:[x\u00d7*]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*)\{?(?P<power>[-+]?\d{1,3})\}?)?"
    r"(?:\s*(?P<percent>\\?%))?"
    r"(?:(?:\s*(?P<size>thousand|million|billion|trillion)s?|(?<=\d)(?P<letter>k|(?(currency)[MB]|(?!))))\b)?"
)
_BESIDE = rf"[^\W{OTHER_SCRIPTS}]"  # a letter of Latin or Greek, or a digit
_ANY_NUMBER = re.compile(rf"(?<!{_BESIDE})(?<!\.)(?:{_NUMBER.pattern})(?!{_BESIDE})")
_WORDS_FOLLOW = re.compile(r"\s*[.,;!]?(?:\s+(?!(?:and|or|to)\b)[A-Za-z(]|\s*\Z)")
# What may follow a number: a unit ("kg", "m^2", "dollars per day", "km/h"), closing punctuation. A
# single letter without a space is not a unit if it is a usual variable: "12x".
_LETTERS = (
    rf"a-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u03bc\u03a9\u1e00-\u1eff{OTHER_SCRIPTS}"
)
_UNIT_WORD = rf"[{_LETTERS}]+\.?(?:\^?[23])?"
_UNIT = re.compile(
    rf"(?:\s*{_CURRENCY}|\s*[\u2103\u2109]|\s*\u00b0\s*[CF]?|\s*\^?\\circ"
    rf"|(?:\s+|(?![abknptxyz]\b)){_UNIT_WORD}(?:(?:\s+|\s*/\s*){_UNIT_WORD}){{0,4}})?\s*[.!\u3002\uff01\u0964]?\s*\Z",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\A\s*\\?[A-Za-z]\w?\s*(?:=|\u2248|\\approx)\s*")
_ONE_SIGN = re.compile("[\u00bc-\u00be\u2150-\u215e]")  # such as one half
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{(\d+)\}\s*\{(\d+)\}|(\d)\s*(\d))")
_REPEATING = re.compile(r"(-?)(\d*)\.(\d*)\\overline\s*\{(\d+)\}")  # 0.1\overline{6}
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
# A thing that is counted: no part of the number, no "percent", no "half".
_COUNTED = (
    r"(?!(?:and|or|of|to|in|out|by|times|plus|minus|percent|hundred|dozens?|point|per|half|halves|thirds?"
    r"|quarters?|(?:four|fif|six|seven|eigh|nin|ten)ths?)\b)[a-z]{3,}"
)
_SPELLED = re.compile(
    rf"(minus\s+|negative\s+)?(?:({'|'.join(_TENS)})(?:[\s-]({'|'.join(_ONES[1:10])}))?|({'|'.join(_ONES)}))"
    rf"(\s+(?:{'|'.join(_SIZES)}))?(?:\s+{_COUNTED})?[.!]?",
    re.IGNORECASE,
)


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
    text = plain_signs(text).translate(_SIGNS)
    text = _in_digits(_VARIABLE.sub("", text.strip()))
    repeating = _REPEATING.fullmatch(text)
    if repeating:
        return _repeating(*repeating.groups())
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


def number_places(text: str) -> list[re.Match[str]]:
    """Return where a text names numbers, whatever surrounds them."""
    return [*_ANY_NUMBER.finditer(text.translate(_SIGNS))]


def numbers_in(text: str) -> list[str]:
    """Return every number at the end of a text as it stands there, whatever surrounds it."""
    return [place.group() for place in number_places(plain_signs(text[-_MAX_SEARCHED:]))]


def is_percent(text: str) -> bool:
    """Return whether a text states its number in percent."""
    return "%" in text


def _in_digits(text: str) -> str:
    """Return a text with simple TeX fractions as "1/2", and a number in words in digits."""
    text = _ONE_SIGN.sub(lambda found: " " + unicodedata.normalize("NFKC", found.group()), text)
    text = _FRACTION.sub(lambda found: " {}/{}".format(*filter(None, found.groups())), text)
    text = text.replace("\u2044", "/").strip()
    spelled = _SPELLED.fullmatch(text)
    if not spelled:
        return text
    sign, tens, ones, small, size = (part and part.strip().lower() for part in spelled.groups())
    value = 10 * _TENS.index(tens) + 20 if tens else 0
    value += _ONES.index(small or ones or "zero")
    return f"{'-' if sign else ''}{value} {size or ''}".strip()


def _repeating(sign: str, whole: str, start: str, period: str) -> Fraction:
    nines = (10 ** len(period) - 1) * 10 ** len(start)
    value = Fraction(int(whole + start + period) - int(whole + start or 0), nines)
    return -value if sign else value


def _value(found: re.Match[str]) -> Fraction:
    value = _plain(found["value"]) / Fraction(found["divisor"] or 1)
    value = value + int(found["whole"] or 0)
    value *= Fraction(10) ** int(found["power"] or 0) * _SIZES.get(found["size"], 1)
    value *= _LETTER_SIZES.get(found["letter"], 1)
    return -value if (found["sign"] == "-") != (found["inner"] == "-") else value


def _plain(digits: str) -> Fraction:
    if re.fullmatch(r"\d+(?:,\d\d)*(?:[,_' \u00a0\u202f]\d{3})+(?:\.\d+)?", digits):
        return Fraction(re.sub(r"[^\d.]", "", digits))
    if re.fullmatch(r"\d+(?:\.\d{3})+,\d+|\d+(?:\.\d{3}){2,}", digits):
        return Fraction(digits.replace(".", "").replace(",", "."))
    return Fraction(re.sub(r"\s", "", digits).replace(",", "."))
