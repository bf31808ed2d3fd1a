"""Fallback: sends a request to the candidates of a ranking in order until one answers.

The next candidate is tried after a timeout, a failed connection, 408, 429, any 5xx, and a response
that does not follow the protocol. It is never tried after another 4xx, which is an answer, nor
after the first byte. A request that names its model is a ranking of one candidate: it has no
fallback, and gets 503 while that candidate is in cool-down.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self

from modelsat.zoo.candidate import Endpoint
from serve_app.candidates.health import CandidateHealth, Trial
from serve_app.candidates.refusals import failure_of, refusal_error
from serve_app.candidates.rewriting import UpstreamError
from serve_app.config import FallbackOptions
from serve_app.contracts.answers import (
    Answer,
    AnswerFacts,
    Attempt,
    CandidateClient,
    CandidateFailure,
    Deadline,
    Dispatched,
    DispatchError,
    Outcome,
    Parts,
)
from serve_app.contracts.errors import ApiError, error_event

_REASONS = {
    "timeout": "took too long",
    "unreachable": "cannot be reached",
    "rate_limited": "limits its rate",
    "overloaded": "is overloaded",
    "server_error": "failed",
    "garbage": "returned a malformed response",
}


class Clients(Protocol):
    """The clients of the served candidates."""

    def get(self, candidate: str) -> CandidateClient | None:
        """Return the client of a candidate; None if it has none or cannot answer now."""


class Dispatcher:
    """Sends requests to candidates, and retries the next one after a failure."""

    def __init__(
        self,
        clients: Clients,
        health: CandidateHealth,
        options: FallbackOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the clients, the circuit breaker, the limits and a monotonic clock."""
        self._clients = clients
        self._health = health
        self._options = options
        self._clock = clock

    async def send(
        self,
        ranking: Sequence[str],
        endpoint: Endpoint,
        body: Mapping[str, Any],
        *,
        stream: bool,
        deadline: Deadline,
    ) -> Dispatched:
        """Try candidates in order until one answers.

        Args:
            ranking: names, best first.
            endpoint: which of OpenAI's endpoints.
            body: OpenAI's JSON object.
            stream: whether it asks for a stream.
            deadline: end of all attempts and of the answer itself.

        Raises:
            DispatchError: none answered: 504 if the deadline passed or all took too long, 429 if
                all limit their rate, 502 if all responses were malformed, otherwise 503.
        """
        attempts: list[Attempt] = []
        usual_limit_s = (
            self._options.attempt_timeout_s if stream else self._options.answer_timeout_s
        )
        for name in ranking:
            client = self._clients.get(name)
            if client is None:
                continue
            limit_s = min(usual_limit_s, deadline.remaining_s())
            if limit_s == 0 or len(attempts) == self._options.max_attempts:
                break
            trial = self._health.begin(name)
            if trial is None:
                continue
            started_s = self._clock()
            try:
                answer = await client.open(endpoint, body, timeout_s=limit_s)
            except CandidateFailure as failure:
                if failure.kind == "timeout" and limit_s < usual_limit_s:
                    trial.unanswered()
                else:
                    trial.failed(failure)
                attempts.append(Attempt(name, failure.kind, self._clock() - started_s))
                continue
            except asyncio.CancelledError:
                trial.unanswered()
                raise
            except BaseException:
                trial.abandoned()
                raise
            outcome: Outcome = "answered" if answer.status == 200 else "refused"
            attempts.append(Attempt(name, outcome, self._clock() - started_s))
            answer = self._watched(name, answer, body, trial, deadline, stream=stream)
            return Dispatched(name, answer, tuple(attempts))
        raise self._no_answer(ranking, attempts, deadline)

    def _watched(
        self,
        name: str,
        answer: Answer,
        body: Mapping[str, Any],
        trial: Trial,
        deadline: Deadline,
        *,
        stream: bool,
    ) -> Answer:
        if not stream or answer.status != 200:
            trial.succeeded()
            return answer
        trial.answered()
        idle_s = self._options.stream_idle_timeout_s
        parts = _WatchedParts(name, answer, body, trial, deadline, idle_s)
        return replace(answer, parts=parts)

    def _no_answer(
        self, ranking: Sequence[str], attempts: Sequence[Attempt], deadline: Deadline
    ) -> DispatchError:
        wait_s = min((self._health.wait_s(name) for name in ranking), default=0.0)
        retry_after_s = max(1, math.ceil(wait_s))
        if deadline.remaining_s() == 0:
            message = f"no model answered within the {deadline.limit_s:g} s allowed"
            return DispatchError(504, message, attempts=attempts)
        if not attempts:
            if all(self._clients.get(name) is None for name in ranking):
                reason = "no model that may answer is available"
            else:
                reason = "every model that may answer failed recently and is in cool-down"
            return DispatchError(
                503,
                f"{reason}; retry later",
                attempts=attempts,
                code="no_healthy_candidate",
                retry_after_s=retry_after_s,
            )
        reason = ", ".join(f"model {a.candidate!r} {_REASONS[a.outcome]}" for a in attempts)
        kinds = {attempt.outcome for attempt in attempts}
        if kinds == {"rate_limited"}:
            return DispatchError(
                429, f"{reason}; retry later", attempts=attempts, retry_after_s=retry_after_s
            )
        if kinds == {"timeout"}:
            return DispatchError(504, reason, attempts=attempts)
        if kinds == {"garbage"}:
            return DispatchError(502, reason, attempts=attempts, code="bad_gateway")
        return DispatchError(
            503,
            f"{reason}; retry later",
            attempts=attempts,
            code="no_healthy_candidate",
            retry_after_s=retry_after_s,
        )


class _WatchedParts:
    """A stream under its time limits; an early end becomes an error event."""

    def __init__(
        self,
        name: str,
        answer: Answer,
        body: Mapping[str, Any],
        trial: Trial,
        deadline: Deadline,
        idle_s: float,
    ) -> None:
        self._name = name
        self._parts: Parts = answer.parts
        self._facts: AnswerFacts = answer.facts
        self._secret = answer.secret
        self._body = body
        self._trial = trial
        self._deadline = deadline
        self._idle_s = idle_s
        self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._has_ended:
            raise StopAsyncIteration
        remaining_s = self._deadline.remaining_s()
        try:
            if remaining_s == 0:
                raise TimeoutError  # a stream without pauses would never reach its timer
            async with asyncio.timeout(min(self._idle_s, remaining_s)):
                return await anext(self._parts)
        except asyncio.CancelledError:
            await self.aclose()
            raise
        except StopAsyncIteration:
            self._has_ended = True
            self._trial.succeeded()
            raise
        except TimeoutError:
            failure = CandidateFailure("timeout")
            if remaining_s <= self._idle_s:
                self._trial.abandoned()
                limit = f"{self._deadline.limit_s:g} s allowed for the whole answer"
            else:
                limit = f"{self._idle_s:g} s allowed for a pause"
            error = ApiError(504, f"model {self._name!r} exceeded the {limit}")
        except UpstreamError as upstream:
            failure = failure_of(upstream.status) or CandidateFailure("server_error")
            if failure_of(upstream.status) is None:
                self._trial.abandoned()  # caused by the request, not by the candidate
            error = refusal_error(
                self._name, upstream.status, upstream.content, self._body, self._secret
            )
        except CandidateFailure as broken:
            failure = broken
            message = f"model {self._name!r} failed while it answered"
            error = ApiError(502, message, code="model_failed")
        return await self._break_off(failure, error)

    async def _break_off(self, failure: CandidateFailure, error: ApiError) -> bytes:
        self._has_ended = True
        self._trial.failed(failure)
        self._facts.failure = failure.kind
        await self._parts.aclose()
        return error_event(error).encode()

    async def aclose(self) -> None:
        """Cancel the stream on the candidate unless it has ended."""
        self._has_ended = True
        self._trial.abandoned()
        await self._parts.aclose()
