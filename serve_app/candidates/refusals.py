"""What a candidate's error status means: an answer to hand on, or a failure to make good."""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from serve_app.candidates.engine_errors import (
    MAX_MESSAGE_CHARS,
    engine_error,
    repeats,
    repeats_input,
)
from serve_app.contracts.answers import Answer, CandidateFailure, Document, FailureKind
from serve_app.contracts.errors import ApiError

_CODE = re.compile(r"[a-z0-9_.-]{1,64}")
_KINDS: dict[int, FailureKind] = {
    408: "timeout",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",  # how some providers say so
}


def failure_of(status: int, retry_after: str | None = None) -> CandidateFailure | None:
    """The failure that a status means; None where it is an answer.

    Another candidate may better 408, 429, every 5xx, and what is no answer of this protocol:
    a success other than 200, and redirections, which are not followed.

    Args:
        status: HTTP status.
        retry_after: the header of that name.
    """
    if status == 200 or (400 <= status < 500 and status not in _KINDS):
        return None
    kind = _KINDS.get(status, "server_error" if status >= 500 else "garbage")
    return CandidateFailure(kind, status=status, retry_after_s=seconds_until(retry_after))


def refusal(
    candidate: str, status: int, content: bytes, body: Mapping[str, Any], secret: str | None = None
) -> Answer:
    """A candidate's 4xx as an answer in OpenAI's shape.

    Args:
        candidate: its name.
        status: HTTP status.
        content: the body that came with it.
        body: the request, whose text must not come back.
        secret: key that the request was sent with, which must not either.
    """
    error = refusal_error(candidate, status, content, body, secret)
    return Answer(status, Document(msgspec.json.encode(error.body)))


def refusal_error(
    candidate: str, status: int, content: bytes, body: Mapping[str, Any], secret: str | None = None
) -> ApiError:
    """A candidate's error, with its own message where that is fit to be shown.

    Not shown are messages that repeat text of the request or the key, and any message of 401
    and 403, which are about this server and not about its client.
    """
    if status in (401, 403):
        return ApiError(
            status,
            f"the provider of model {candidate!r} refused the server's credentials",
            code="upstream_authentication",
        )
    told = _told(content)
    message = _shown(told.get("message"), secret)
    if message is None:
        message = f"model {candidate!r} refused the request with status {status}"
    error = engine_error(status, message, _shown(told.get("param"), secret), dict(body))
    code = _shown(told.get("code"), secret)
    if code is not None and _CODE.fullmatch(code) and not repeats_input(code, body):
        error.code = code
    return error


def seconds_until(retry_after: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for; None where it cannot be read."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _shown(value: Any, secret: str | None) -> str | None:
    """The beginning of a text; None where it is none, or repeats the key."""
    if not isinstance(value, str):
        return None
    shown = value[:MAX_MESSAGE_CHARS]
    if secret is not None and (secret in value or repeats(shown, (secret,))):
        return None
    return shown


def _told(content: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    error = document.get("error")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else document
