"""Error messages of engines and providers, relayed only if they repeat no text of the request."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serve_app.contracts.errors import ApiError

_MIN_ECHO_CHARS = 4  # shorter strings (roles, units) occur in honest messages by chance
_WINDOW_CHARS = 16  # this much of a longer string is an echo too: engines quote beginnings
_BLOCK_CHARS = 8  # half of it: cut anywhere into such blocks, a window holds a whole one
MAX_MESSAGE_CHARS = 2000  # of an engine's message
# Keys that honest messages name: fields of the protocol and of engines.
_FIELD_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,31}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|x([0-9a-f]{2})|(.))", re.I | re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_MAX_ESCAPINGS = 2  # an engine that quotes another's JSON


def engine_error(status: int, message: str, param: str | None, body: dict[str, Any]) -> ApiError:
    """Return an engine's error, with its message unless that repeats text of the request.

    Args:
        status: HTTP status the engine gave; anything but 4xx and 5xx becomes 500.
        message: the engine's message; a long one is cut.
        param: field the engine names.
        body: the request.
    """
    if not 400 <= status < 600:
        status = 500
    message = message[:MAX_MESSAGE_CHARS]
    if repeats_input(message, body):
        kind = "refused the request" if status < 500 else "failed on the request"
        message = f"the model {kind}; its message repeats text of the request and is withheld"
    if param is not None and repeats_input(param, body):
        param = None
    return ApiError(status, message, param=param, retry_after_s=1 if status in (429, 503) else None)


def repeats_input(message: str, body: Mapping[str, Any]) -> bool:
    """Return whether a message repeats a string of the request; see :func:`repeats`.

    The name of the model is public and does not count, nor do keys that look like field names.
    """
    return repeats(message, _strings({k: value for k, value in body.items() if k != "model"}))


def repeats(message: str, texts: Iterable[str]) -> bool:
    """Return whether a message contains one of the texts, or 16 consecutive characters of one.

    Texts below 4 characters do not count. Characters that the message escapes, as JSON or Python
    do, are compared unescaped as well.

    Args:
        message: the message, which should be short.
        texts: texts of any length: 8 MB take 0.2 s.
    """
    forms = [message]
    for _ in range(_MAX_ESCAPINGS):
        forms.append(_unescaped(forms[-1]))
    blocks = {piece for form in forms for piece in _pieces(form, _BLOCK_CHARS)}
    windows = {piece for form in forms for piece in _pieces(form, _WINDOW_CHARS)}
    for text in texts:
        if len(text) >= _WINDOW_CHARS:
            if _shares_window(text, blocks, windows):
                return True
        elif len(text) >= _MIN_ECHO_CHARS and any(text in form for form in forms):
            return True
    return False


def _shares_window(text: str, blocks: set[str], windows: set[str]) -> bool:
    """Return whether the text contains a window; search only around matching blocks."""
    near = {
        text[max(0, start - _BLOCK_CHARS) : start + _WINDOW_CHARS]
        for start in range(0, len(text), _BLOCK_CHARS)
        if text[start : start + _BLOCK_CHARS] in blocks
    }
    return any(piece in windows for part in near for piece in _pieces(part, _WINDOW_CHARS))


def _pieces(text: str, num_chars: int) -> Iterator[str]:
    return (text[start : start + num_chars] for start in range(len(text) - num_chars + 1))


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(_plain, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # joins pairs


def _plain(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2] or escape[3]
    if digits is None:
        return _ESCAPED.get(escape[4], escape[4])
    return chr(int(digits, 16)) if int(digits, 16) <= sys.maxunicode else escape[0]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, child in value.items():
            if not _FIELD_NAME.fullmatch(key):
                yield key
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)
