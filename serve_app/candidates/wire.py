"""The format in which a replica yields an answer: the HTTP status, then text."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from serve_app.candidates.engine_errors import engine_error
from serve_app.contracts.errors import ApiError, error_event


async def wire_parts(
    answers: AsyncIterator[Any], body: dict[str, Any]
) -> AsyncGenerator[str, None]:
    """Yield status and body of an engine's answer.

    Args:
        answers: server-sent events as strings, or one pydantic response; an ``ErrorResponse``
            (with ``error.code``, ``error.message``, ``error.param``) or an ApiError may take the
            place of either.
        body: the request, whose text must not come back in an error.

    Yields:
        The HTTP status as text, then events or one JSON document. An error after the first
        event becomes an error event that ends the stream.
    """
    started = False
    async for answer in answers:
        error = as_api_error(answer, body)
        if error is not None:
            if started:
                yield error_event(error)
            else:
                yield str(error.status)
                yield json.dumps(error.body)
            return
        if not started:
            yield "200"
            started = True
        yield answer if isinstance(answer, str) else answer.model_dump_json()
    if not started:
        error = ApiError(502, "the model ended without an answer", code="bad_gateway")
        yield str(error.status)
        yield json.dumps(error.body)


def as_api_error(answer: Any, body: dict[str, Any]) -> ApiError | None:
    """Return the error that an engine's answer is; None if it is not one."""
    if isinstance(answer, ApiError):
        return answer
    error = getattr(answer, "error", None)
    if isinstance(answer, str) or error is None:
        return None
    code = error.code if isinstance(error.code, int) else 500
    return engine_error(code, str(error.message), getattr(error, "param", None), body)
