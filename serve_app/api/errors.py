"""Errors as OpenAI's clients expect them. Imports no framework.

``{"error": {"message", "type", "param", "code"}}``; no message repeats text of the request.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_MIN_ECHO_CHARS = 4  # shorter strings (roles, units) occur in honest messages by chance
_WINDOW_CHARS = 16  # so much of a longer string is an echo too: engines quote beginnings
_BLOCK_CHARS = 8  # half of it: cut anywhere into such blocks, a window holds a whole one
MAX_MESSAGE_CHARS = 2000  # of an engine's message
# Keys that honest messages name: fields of the protocol and of engines.
_FIELD_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,31}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|x([0-9a-f]{2})|(.))", re.I | re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_MAX_ESCAPINGS = 2  # an engine that quotes another's JSON
_MAX_LISTED_NAMES = 20

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    408: "timeout",
    429: "rate_limit_error",
    503: "service_unavailable",
    504: "timeout",
}

_CODES = {
    400: "invalid_parameter",
    403: "not_permitted",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "body_too_large",
    429: "rate_limited",
    500: "internal_error",
    503: "overloaded",
    504: "timeout",
}


class ApiError(Exception):
    """An error answer.

    Attributes:
        status: HTTP status.
        message: what is wrong and what is allowed; free of request text.
        code: machine-readable reason.
        param: name of the offending field.
        retry_after_s: when trying again may help, seconds.
        headers: HTTP headers that go with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or _CODES.get(status, "error")
        self.param = param
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document sent to the client."""
        default = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, default),
                "param": self.param,
                "code": self.code,
            }
        }


def model_not_found(names: Sequence[str]) -> ApiError:
    """The answer to a model name that nobody serves; lists those that the client may use."""
    more = len(names) - _MAX_LISTED_NAMES
    rest = f" and {more} more, see /v1/models" if more > 0 else ""
    return ApiError(
        404,
        f"the model does not exist; available: {', '.join(names[:_MAX_LISTED_NAMES])}{rest}",
        code="model_not_found",
        param="model",
    )


def overloaded(message: str, *, code: str = "overloaded") -> ApiError:
    """The answer when the request may succeed a little later."""
    return ApiError(503, message, code=code, retry_after_s=1)


def engine_error(status: int, message: str, param: str | None, body: dict[str, Any]) -> ApiError:
    """An engine's refusal of a request, with its message unless that repeats request text.

    Args:
        status: HTTP status the engine gave; anything but 4xx and 5xx becomes 500.
        message: the engine's message; of a long one the beginning is told.
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
    """Whether a message repeats a string of the request; see :func:`repeats`.

    The name of the model is public and does not count, nor do keys that look like field names.
    """
    return repeats(message, _strings({k: value for k, value in body.items() if k != "model"}))


def repeats(message: str, texts: Iterable[str]) -> bool:
    """Whether a message contains any of some texts, or 16 characters in a row of one.

    Texts below 4 characters do not count. What the message escapes, as JSON or Python do, is
    read as what it stands for, too.

    Args:
        message: what is looked at; short, as it is taken apart.
        texts: of any length: 8 MB take 0.2 s.
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


def error_event(error: ApiError) -> str:
    """The error as a server-sent event: what a stream that breaks ends with."""
    return f"data: {json.dumps(error.body)}\n\n"


def _shares_window(text: str, blocks: set[str], windows: set[str]) -> bool:
    """Whether a piece of the text is a window; looks closely only where its block is one too."""
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
