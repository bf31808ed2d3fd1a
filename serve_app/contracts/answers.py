"""The result of a request to a candidate: an answer from its first part on, or a failure."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from modelsat.zoo.candidate import Endpoint
from serve_app.contracts.error_codes import Code
from serve_app.contracts.errors import ApiError

FailureKind = Literal[
    "timeout", "unreachable", "rate_limited", "overloaded", "server_error", "garbage"
]
Outcome = Literal["answered", "refused"] | FailureKind


@dataclass
class AnswerFacts:
    """Facts read from an answer while it is relayed; complete once its parts have ended.

    Attributes:
        prompt_tokens, completion_tokens: as the candidate counts them; None if it does not
            report them, as in streams without ``include_usage``.
        failure: why a stream ended early, after its first part; None: it did not.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    failure: FailureKind | None = None


class Parts(Protocol):
    """A body in parts, taken once.

    Unlike a generator, closing it also works when no part has been taken yet.
    """

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None:
        """Cancel the request on the candidate unless the body is complete; may be repeated."""


@dataclass(frozen=True)
class Answer:
    """A candidate's answer, from its first part on.

    The caller must close ``parts``, also after an error and before the first part.

    Attributes:
        status: HTTP status: 200, or a 4xx with an error in OpenAI's shape.
        parts: the body's parts, UTF-8: whole server-sent events of a stream, else one JSON
            document.
        facts: what was read of it.
        secret: key that the request was sent with, which no error may repeat.
    """

    status: int
    parts: Parts
    facts: AnswerFacts = field(default_factory=AnswerFacts)
    secret: str | None = field(default=None, repr=False)


class Document:
    """A complete body, as a single part."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, None
        if content is None:
            raise StopAsyncIteration
        return content

    async def aclose(self) -> None:
        """Drop the body."""
        self._content = None


class CandidateFailure(Exception):
    """A candidate gave no answer, or failed in the middle of an answer.

    Before the first part, another candidate can be tried. Later, the parts of the stream raise it.

    Attributes:
        kind: what happened.
        status: its HTTP status, if it sent one.
        retry_after_s: seconds from its ``Retry-After``, if it sent one.
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

        An answer that is not a stream is read completely, so that after a failure another candidate
        can still be tried.

        Args:
            endpoint: the OpenAI endpoint.
            body: OpenAI's JSON object; ``model`` is set by the client.
            timeout_s: longest wait.

        Raises:
            CandidateFailure: no answer, or one for which another candidate should be tried.
        """


@dataclass(frozen=True)
class Attempt:
    """One candidate that was tried.

    Attributes:
        candidate: its name.
        outcome: ``answered``, ``refused`` (a 4xx, which is relayed), or why it failed.
        duration_s: time until the outcome was known.
    """

    candidate: str
    outcome: Outcome
    duration_s: float


@dataclass(frozen=True)
class Dispatched:
    """An answer and the attempts that led to it.

    Attributes:
        candidate: the candidate that answered.
        answer: the answer; the caller must close its parts.
        attempts: candidates that were tried, in order; the last one is ``candidate``.
    """

    candidate: str
    answer: Answer
    attempts: tuple[Attempt, ...]


class DispatchError(ApiError):
    """No candidate answered.

    Attributes:
        attempts: candidates that were tried, in order; empty if all were in cool-down.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        attempts: Sequence[Attempt],
        code: Code | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(status, message, code=code, retry_after_s=retry_after_s)
        self.attempts = tuple(attempts)


# uvloop's timers fire up to 1.2 ms early (400 measured; asyncio's never do).
_EARLY_S = 0.002


class Deadline:
    """A moment by which work must have ended."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the end ``limit_s`` seconds from now; ``clock`` gives monotonic seconds."""
        self._clock = clock
        self.limit_s = limit_s
        self._end = clock() + limit_s

    def remaining_s(self) -> float:
        """Seconds left; 0 if it has passed or a timer set for it may have fired."""
        left_s = self._end - self._clock()
        return left_s if left_s > _EARLY_S else 0.0
