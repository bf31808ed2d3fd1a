"""The facts of one request, collected while it is served, for observers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelsat.zoo.candidate import Endpoint
from serve_app.contracts.trace_context import TraceContext


@dataclass
class RequestRecord:
    """The record of a request, without its texts except ``scored_text``.

    Attributes:
        request_id: as echoed in ``x-request-id``.
        endpoint: OpenAI's endpoint, or ``route``.
        started_s, first_byte_s, ended_s: moments by ``time.monotonic``.
        received_at: Unix time of the start.
        requested: the model named: a candidate, a routing profile, or None when unknown.
        routed: whether a routing profile was named.
        stream: whether a stream was requested.
        key: name of the API key, if one was needed.
        session: whether the request named a session.
        candidate: the candidate that answered, or was tried last.
        reason: why the first candidate was chosen.
        confidence: its P(correct), 0..1.
        scores: P(correct) by candidate.
        zoo_version: version of the zoo it was chosen from.
        prompt_hash: SHA-256 of the scored text, hexadecimal.
        scored_text: the scored text, only where ``routing_log.with_prompts`` asks for it.
        trace: its place in a trace, where there is one.
        attempts: outcome of each candidate tried, in order: (candidate, outcome, seconds).
        routing_s: time until the candidate was chosen.
        upstream_s: time spent waiting for candidates until the first byte.
        status: HTTP status of the reply; 499 if the client disconnected.
        error_code: OpenAI error code of a refusal.
        prompt_tokens, completion_tokens: as the candidate counts them.
        cost_usd: cost of the tokens; None if the price is unknown.
    """

    request_id: str
    endpoint: Endpoint | str
    started_s: float
    received_at: float
    requested: str | None = None
    routed: bool = False
    stream: bool = False
    key: str | None = None
    session: bool = False
    candidate: str | None = None
    reason: str | None = None
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    zoo_version: int = 0
    prompt_hash: str | None = None
    scored_text: str | None = None
    trace: TraceContext | None = None
    attempts: list[tuple[str, str, float]] = field(default_factory=list)
    routing_s: float = 0.0
    upstream_s: float = 0.0
    first_byte_s: float | None = None
    ended_s: float | None = None
    status: int = 0
    error_code: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def duration_s(self) -> float | None:
        """Time from the request to the end of its answer, seconds; None while it lasts."""
        return None if self.ended_s is None else self.ended_s - self.started_s

    @property
    def overhead_s(self) -> float | None:
        """Gateway overhead before the first byte, upstream wait excluded, seconds."""
        if self.first_byte_s is None:
            return None
        return max(0.0, self.first_byte_s - self.started_s - self.upstream_s)


class Observer(Protocol):
    """Receives the records of finished requests."""

    def finished(self, record: RequestRecord) -> None:
        """Process a record; must neither block nor raise."""
