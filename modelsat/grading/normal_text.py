"""Texts made comparable: case, spaces, articles and punctuation do not matter.

Numbers and signs of any script become ASCII.
"""

import re
import unicodedata

# Vowel signs and accents; Python's ``\w`` leaves them out, so that it ends amid Hindi words.
MARKS = "".join(
    chr(code) for code in range(0x300, 0x1D00) if unicodedata.category(chr(code))[0] == "M"
)
_PART = rf"[^\W_](?:[^\W_]|[{MARKS}])*"
_WORD = re.compile(rf"{_PART}(?:[.,'\u2019/-]{_PART})*")
_INITIALS = re.compile(r"(?<![^\W_])([^\W\d_])\.(?=[^\W\d_](?![^\W_])|\s|\Z)")  # "U.S.A."
CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")  # no spaces between words
# Letters that no formula uses, as part of a character class: Cyrillic to Thai, Chinese, Korean.
OTHER_SCRIPTS = r"\u0400-\u0963\u0966-\u1cff\u3041-\ud7af"
# White space after a full stop, or nothing after a stop of a script without spaces; line ends.
SENTENCE_END = re.compile(r"(?<=[^\s.][.!?])\s+|(?<=[\u3002\uff01\uff1f\u0964])|\n+")
_ARTICLES = frozenset({"a", "an", "the"})
_SIGNS = str.maketrans("\u2212\u2013\u2014\u2019\u2018\u201c\u201d", "---''\"\"")
# The ends of sentences stay: "!" would be a factorial.
_FULL_WIDTH = {
    code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if code not in (0xFF01, 0xFF1F)
}
_RAISED = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
_RAISED_RUN = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+")
_DIGIT = re.compile(r"(?![0-9])\d")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; numbers and hyphenated words are whole."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def plain_signs(text: str) -> str:
    """Return a text with digits of any script and full-width signs in ASCII, and powers as "^2".

    Example:
        >>> plain_signs("10\u2074\uff1a\u0969\u096c")
        '10^4:36'
    """
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda run: "^" + run.group().translate(_RAISED), text)
    return _DIGIT.sub(
        lambda digit: str(unicodedata.decimal(digit.group())), text.translate(_FULL_WIDTH)
    )


def comparable(text: str) -> str:
    """Return a text in the form in which two answers are compared.

    Case, articles, spaces, quotation marks and closing punctuation do not matter; signs and
    decimal points of numbers do.

    Example:
        >>> comparable(" The  Eiffel Tower. ")
        'eiffel tower'
    """
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).casefold()
    text = _INITIALS.sub(r"\1", text).replace("-", " ") if text[:1].isalpha() else text
    parts = text.strip("'\" ").rstrip(" .!,;:'\"?\u3002\u0964").split()
    kept = [part for part in parts if part not in _ARTICLES]
    return " ".join(kept or parts)
