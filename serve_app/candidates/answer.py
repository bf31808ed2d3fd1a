"""What a candidate gives back: an answer from its first part on, or a failure."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from modelsat.zoo.candidate import Endpoint

FailureKind = Literal[
    "timeout", "unreachable", "rate_limited", "overloaded", "server_error", "garbage"
]


@dataclass
class AnswerFacts:
    """What is read of an answer as it passes; complete once its parts have ended.

    Attributes:
        prompt_tokens, completion_tokens: as the candidate counts them; None where it does not
            say, which is so for streams that were not asked for ``include_usage``.
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

    Whoever holds it closes its parts, also after an error and before the first part.

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
    """A body that is here already, as its only part."""

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
        """Forget it."""
        self._content = None


class CandidateFailure(Exception):
    """A candidate gave no answer, or broke off in the middle of one.

    Before the first part another candidate may answer. The parts of a stream raise it after
    the first one.

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

        An answer that is no stream is waited for as a whole, so that a failure in its middle
        can still be made good elsewhere.

        Args:
            endpoint: which of OpenAI's endpoints.
            body: OpenAI's JSON object; ``model`` is set by the client.
            timeout_s: longest wait.

        Raises:
            CandidateFailure: no answer came, or one that another candidate may better.
        """


# uvloop's timers fire up to 1.2 ms early (400 measured; asyncio's never do).
_EARLY_S = 0.002


class Deadline:
    """A moment by which something must have ended."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start a limit of so many seconds now, by a monotonic clock."""
        self._clock = clock
        self.limit_s = limit_s
        self._end = clock() + limit_s

    def remaining_s(self) -> float:
        """Seconds left; 0 when it has passed or a timer set for it may have fired."""
        left_s = self._end - self._clock()
        return left_s if left_s > _EARLY_S else 0.0
