"""Errors as OpenAI's clients expect them. Imports no framework.

``{"error": {"message", "type", "param", "code"}}``; no message repeats text of the request.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MIN_ECHO_CHARS = 4  # shorter strings (roles, units) occur in honest messages by chance
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
        message: the engine's message.
        param: field the engine names.
        body: the request.
    """
    if not 400 <= status < 600:
        status = 500
    if repeats_input(message, body):
        kind = "refused the request" if status < 500 else "failed on the request"
        message = f"the model {kind}; its message repeats text of the request and is withheld"
    if param is not None and repeats_input(param, body):
        param = None
    return ApiError(status, message, param=param, retry_after_s=1 if status in (429, 503) else None)


def repeats_input(message: str, body: Any) -> bool:
    """Whether a message contains any string value of the request (4 characters or more).

    The name of the model is public and does not count.
    """
    public = {key: value for key, value in body.items() if key != "model"}
    return any(text in message for text in _strings(public) if len(text) >= _MIN_ECHO_CHARS)


def error_event(error: ApiError) -> str:
    """The error as a server-sent event: what a stream that breaks ends with."""
    return f"data: {json.dumps(error.body)}\n\n"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)
