"""W3C Trace Context of a request. Loads no tracing library.

Source: https://www.w3.org/TR/trace-context/, sections 3.2 (traceparent) and 3.3 (tracestate).
"""

import random
import re
from contextvars import ContextVar
from dataclasses import dataclass

from serve_app.contracts.headers import TRACEPARENT, TRACESTATE

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_TRACESTATE_CHARS = 512  # what every participant must be able to pass on
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The trace and span of a request.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits: the span of this request, parent of what it causes.
        parent_id: the caller's span; None if the trace begins here.
        sampled: whether the trace is recorded.
        tracestate: the caller's ``tracestate``, passed on as it came.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    sampled: bool
    tracestate: str | None = None

    def headers(self) -> dict[str, str]:
        """The headers that continue the trace at a candidate."""
        flags = _SAMPLED if self.sampled else 0
        headers = {TRACEPARENT: f"00-{self.trace_id}-{self.span_id}-{flags:02x}"}
        if self.tracestate is not None:
            headers[TRACESTATE] = self.tracestate
        return headers


# The trace of the request that the running task serves; candidates behind URLs send its headers.
CURRENT_TRACE: ContextVar[TraceContext | None] = ContextVar("modelsat_trace", default=None)


def begin_trace(
    traceparent: str | None, tracestate: str | None, *, sample_fraction: float | None
) -> TraceContext | None:
    """Join the caller's trace, or begin one.

    Args:
        traceparent: the caller's header; one that is malformed counts as absent.
        tracestate: the caller's header.
        sample_fraction: share of traces recorded if the caller has not decided; None: this
            process makes no spans, so the caller's trace is passed on unchanged.

    Returns:
        The context of the request; None if neither the caller nor this process traces.
    """
    caller = _parse(traceparent)
    if caller is None:
        if sample_fraction is None:
            return None
        trace_id = random.getrandbits(128) or 1
        # As OpenTelemetry's ratio sampler: equal fractions agree about a trace everywhere.
        sampled = trace_id & (2**64 - 1) < round(sample_fraction * 2**64)
        return TraceContext(f"{trace_id:032x}", _new_span_id(), None, sampled)
    trace_id_hex, span_id, sampled = caller
    kept = tracestate if _may_pass_on(tracestate) else None
    if sample_fraction is None:
        return TraceContext(trace_id_hex, span_id, None, sampled, kept)
    return TraceContext(trace_id_hex, _new_span_id(), span_id, sampled, kept)


def _parse(traceparent: str | None) -> tuple[str, str, bool] | None:
    if traceparent is None:
        return None
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16):
        return None
    return (trace_id, span_id, bool(int(flags, 16) & _SAMPLED)) if int(span_id, 16) else None


def _may_pass_on(tracestate: str | None) -> bool:
    return (
        tracestate is not None
        and 0 < len(tracestate) <= _MAX_TRACESTATE_CHARS
        and tracestate.isascii()
        and tracestate.isprintable()
    )


def _new_span_id() -> str:
    return f"{random.getrandbits(64) or 1:016x}"
