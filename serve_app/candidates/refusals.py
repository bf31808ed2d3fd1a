"""Error statuses of candidates: a response to relay, or a failure to retry elsewhere."""

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
    529: "overloaded",  # used by some providers
}


def failure_of(status: int, retry_after: str | None = None) -> CandidateFailure | None:
    """Return the failure that a status means; None if it is an answer.

    408, 429, every 5xx and statuses outside the protocol (a success other than 200, a
    redirection) are failures: another candidate may succeed.

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
    """Return a candidate's 4xx as an answer in OpenAI's format.

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
    """Return a candidate's error, with its own message if clients may see that.

    A message is withheld if it repeats text of the request or the key, and for 401 and 403, which
    concern this server and not its client.
    """
    if status in (401, 403):
        return ApiError(
            status,
            f"the provider of model {candidate!r} refused the server's credentials",
            code="upstream_authentication",
        )
    upstream = _error_fields(content)
    message = _shown(upstream.get("message"), secret)
    if message is None:
        message = f"model {candidate!r} refused the request with status {status}"
    error = engine_error(status, message, _shown(upstream.get("param"), secret), dict(body))
    code = _shown(upstream.get("code"), secret)
    if code is not None and _CODE.fullmatch(code) and not repeats_input(code, body):
        error.code = code
    return error


def seconds_until(retry_after: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; None if it is malformed."""
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
    """Return the beginning of a text; None if it is not a text, or repeats the key."""
    if not isinstance(value, str):
        return None
    shown = value[:MAX_MESSAGE_CHARS]
    if secret is not None and (secret in value or repeats(shown, (secret,))):
        return None
    return shown


def _error_fields(content: bytes) -> dict[str, Any]:
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
