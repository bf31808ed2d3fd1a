"""Texts made comparable: case, spaces, articles and punctuation do not matter."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:[.,'\u2019/-][^\W_]+)*")
_INITIALS = re.compile(r"(?<![^\W_])([^\W\d_])\.(?=[^\W\d_](?![^\W_])|\s|\Z)")  # "U.S.A."
CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")  # no spaces between words
# White space after a full stop, or nothing after a stop of a script without spaces; line ends.
SENTENCE_END = re.compile(r"(?<=[^\s.][.!?])\s+|(?<=[\u3002\uff01\uff1f\u0964])|\n+")
_ARTICLES = frozenset({"a", "an", "the"})
_SIGNS = str.maketrans("\u2212\u2013\u2014\u2019\u2018\u201c\u201d", "---''\"\"")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; numbers and hyphenated words are whole."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


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
    parts = text.strip("'\" ").rstrip(" .!,;:'\"?").split()
    kept = [part for part in parts if part not in _ARTICLES]
    return " ".join(kept or parts)
