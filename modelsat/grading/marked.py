r"""Results that an answer marks as its result: ``\boxed{}``, tags, JSON, ``####``, bold text.

Functions for one kind of mark return what the last mark of that kind holds, or None.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from modelsat.grading.fences import fenced_blocks

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:bf|rm|it|sf|tt)|boldsymbol|mbox|operatorname)\s*"
    r"\{([^{}]*)\}"
)
_TAG = re.compile(
    r"<(answer|final_answer|finalanswer|final|choice|option|result|solution)>"
    r"((?:(?!<\1>).)*?)</\1>",
    re.IGNORECASE | re.DOTALL,
)
_BOLD = re.compile(r"\*\*([^*\n]{1,100})\*\*")
_HASHES = re.compile(r"^\s*####[ \t]*(\S.*)$", re.MULTILINE)  # as in GSM8K's solutions
_ESCAPED_BRACE = re.compile(r"\\([{}])")
_JSON_START = re.compile(r"[{\[]")
_RESULT_KEYS = ("answer", "final_answer", "correct_answer", "choice", "option", "result")
_MAX_BOXES = 5  # that are looked into, from the last
_MAX_JSON_STARTS = 50  # of braces tried as the start of a document


def results(text: str) -> Iterator[str]:
    """Yield what each kind of mark holds, the most certain kind first."""
    for mark in (boxed, json_result, tagged, after_hashes):
        value = mark(text)
        if value:
            yield value


def boxed(text: str) -> str | None:
    r"""Return what the last ``\boxed{...}`` holds; None as well if it is not closed."""
    for opening in reversed([*_BOX.finditer(text)][-_MAX_BOXES:]):
        depth = 1
        for end in range(opening.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return text[opening.end() : end].strip()
    return None


def tagged(text: str) -> str | None:
    """Return what the last ``<answer>`` or a tag of the same meaning holds."""
    found = _TAG.findall(text)
    return found[-1][1].strip() if found else None


def bold(text: str) -> str | None:
    """Return what the last bold passage holds."""
    found = _BOLD.findall(text)
    return found[-1].strip() if found else None


def after_hashes(text: str) -> str | None:
    """Return the rest of the last line that begins with ``####``."""
    found = _HASHES.findall(text)
    return found[-1].strip() if found else None


def json_result(text: str) -> str | None:
    """Return the result that a JSON object names, such as ``{"answer": "B"}``."""
    document = json_document(text)
    if not isinstance(document, dict):
        return None
    by_key = {re.sub(r"[\s-]+", "_", key.lower()): value for key, value in document.items()}
    for key in _RESULT_KEYS:
        value = by_key.get(key)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value).strip()
    return None


def json_document(text: str) -> Any:
    """Return the JSON object or array of an answer: all of it, fenced, or amid prose.

    Returns:
        The last document of several; amid prose, an object before an array. None if there is none.
    """
    return (json_documents(text) or [None])[-1]


def whole_document(text: str) -> list[Any]:
    """Return the JSON document that a text is, in a list; an empty list if it is none."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


def json_documents(text: str) -> list[Any]:
    """Return all JSON documents of an answer: all of it, or what is fenced, or amid prose.

    Documents amid prose are objects and arrays; the arrays come first.
    """
    whole = whole_document(text)
    if whole:
        return whole
    documents = _parts(text)
    has_object = any(isinstance(document, dict) for document in documents)
    if _ESCAPED_BRACE.search(text) and not has_object:  # in a box or a formula
        unescaped = _ESCAPED_BRACE.sub(r"\1", text)
        documents = whole_document(unescaped) or _parts(unescaped) or documents
    return documents


def _parts(text: str) -> list[Any]:
    fenced = [document for block in fenced_blocks(text) for document in whole_document(block.text)]
    return fenced or _amid_prose(text)


def _amid_prose(text: str) -> list[Any]:
    decoder, found, start, tries = json.JSONDecoder(), list[Any](), 0, 0
    while (opening := _JSON_START.search(text, start)) and tries < _MAX_JSON_STARTS:
        tries += 1
        try:
            document, start = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            start = opening.end()
        else:
            found.append(document)
    return sorted(found, key=lambda document: isinstance(document, dict))


def unwrapped(text: str) -> str:
    r"""Remove markup around words: ``**B**``, ``\text{B}``, ``\(B\)``, quotation marks."""
    # Patterns that look for space before a word would otherwise take quadratic time.
    text = re.sub(r"\n[ \n]*\n", "\n\n", re.sub(r"[^\S\n]+", " ", text))
    previous = None
    while previous != text:
        previous, text = text, _WRAPPER.sub(r"\1", text)
    text = re.sub(r"\\[()\[\]]|\$", "", text)
    text = re.sub(r"(?<!\w)'([^'\n]{1,80})'(?!\w)", r"\1", text)
    text = re.sub(r"<(b|strong|em|i|u)>(.*?)</\1>", r"\2", text, flags=re.IGNORECASE)
    text = re.sub(r"\u3010([^\u3011\n]*)\u3011", r"\1: ", text)  # headings between black brackets
    return re.sub(
        r"[*`\"\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f]|(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])",
        "",
        text,
    )
