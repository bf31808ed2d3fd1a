"""Errors in the shape that OpenAI clients expect. Imports no web framework.

``{"error": {"message", "type", "param", "code"}}``; no message repeats text of the request.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from serve_app.contracts.error_codes import DEFAULT_CODES, OTHER_CODE, Code, error_type
from serve_app.contracts.headers import RETRY_AFTER

_MAX_LISTED_NAMES = 20


class ApiError(Exception):
    """An error answer.

    Attributes:
        status: HTTP status.
        message: what is wrong and what is allowed; free of request text.
        code: machine-readable reason; a refusal by a model's provider may carry another than these.
        param: name of the offending field.
        retry_after_s: when trying again may help, seconds.
        headers: HTTP headers that go with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: Code | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code: str = code or DEFAULT_CODES.get(status, OTHER_CODE)
        self.param = param
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers[RETRY_AFTER] = str(retry_after_s)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document sent to the client."""
        return {
            "error": {
                "message": self.message,
                "type": error_type(self.status),
                "param": self.param,
                "code": self.code,
            }
        }


def refuse(message: str, param: str | None) -> NoReturn:
    """Raise the error of a malformed request: 400 with the name of the offending field."""
    raise ApiError(400, message, param=param)


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


def overloaded(message: str, *, code: Code = "overloaded") -> ApiError:
    """The answer when the request may succeed a little later."""
    return ApiError(503, message, code=code, retry_after_s=1)


def error_event(error: ApiError) -> str:
    """The error as a server-sent event: what a stream that breaks ends with."""
    return f"data: {json.dumps(error.body)}\n\n"
