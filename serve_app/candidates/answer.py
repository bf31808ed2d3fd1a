"""What a candidate gives back: an answer from its first part on, or a failure."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from modelsat.zoo import Endpoint

FailureKind = Literal[
    "timeout", "unreachable", "rate_limited", "overloaded", "server_error", "garbage"
]


@dataclass(frozen=True)
class Answer:
    """A candidate's answer, from its first part on.

    Attributes:
        status: HTTP status.
        parts: the body's parts, UTF-8: whole server-sent events of a stream, else one JSON
            document. Closing it early cancels the request on the candidate.
    """

    status: int
    parts: AsyncIterator[bytes]


class CandidateFailure(Exception):
    """A candidate gave no answer, and another one may.

    Attributes:
        kind: what happened.
        status: the HTTP status it answered with, if it did.
        retry_after_s: when it says it may be asked again.
    """

    def __init__(
        self, kind: FailureKind, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(kind)
        self.kind: FailureKind = kind
        self.status = status
        self.retry_after_s = retry_after_s


class CandidateClient(Protocol):
    """Sends requests to one candidate."""

    async def open(
        self, endpoint: Endpoint, body: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Send a request and wait for the first part of the answer.

        Args:
            endpoint: which of OpenAI's endpoints.
            body: OpenAI's JSON object; ``model`` is set by the client.
            timeout_s: longest wait for the first part.

        Raises:
            CandidateFailure: no answer came, or one that another candidate may better.
        """


class Deadline:
    """A moment by which something must have ended."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start a limit of so many seconds now, by a monotonic clock."""
        self._clock = clock
        self.limit_s = limit_s
        self._end = clock() + limit_s

    def remaining_s(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self._end - self._clock())
