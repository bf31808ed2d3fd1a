"""Traces of finished requests, sent to an OTLP collector over HTTP.

Spans are built from a record once its request has ended, so tracing adds nothing to the time of an
answer. Importing this module loads OpenTelemetry: import it only where a collector is configured.
Headers for the collector, such as a key, come from ``OTEL_EXPORTER_OTLP_HEADERS``.

Sources: OpenTelemetry's semantic conventions for generative AI and for HTTP.
"""

import random
import threading
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import AttributeValue

from modelsat import __version__
from serve_app.contracts.request_record import RequestRecord
from serve_app.contracts.trace_context import TraceContext

SERVICE_NAME = "modelsat"
CLOSE_TIMEOUT_S = 5.0
_EXPORT_TIMEOUT_S = 10
_MAX_WAITING_SPANS = 8192  # about 30 s of 100 requests/s while the collector fails; then dropped
_OPERATIONS = {"chat": "chat", "completions": "text_completion", "embeddings": "embeddings"}
_ROUTES = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "route": "/v1/route",
}
_RELAYED = ("answered", "refused")  # outcomes whose answer went to the client

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)

Facts = Mapping[str, AttributeValue | None]


class Tracing:
    """Sends the spans of each sampled request, as an observer."""

    def __init__(
        self, endpoint: str, *, instance: str = "", exporter: SpanExporter | None = None
    ) -> None:
        """Start the exporting thread.

        Args:
            endpoint: base URL of the collector (``http://host:4318``); spans go to
                ``/v1/traces`` below it.
            instance: identifies this process among those of the service.
            exporter: sends spans; by OTLP over HTTP where none is given.
        """
        url = endpoint.rstrip("/") + "/v1/traces"
        self._exporter = exporter or OTLPSpanExporter(endpoint=url, timeout=_EXPORT_TIMEOUT_S)
        self._processor = BatchSpanProcessor(self._exporter, max_queue_size=_MAX_WAITING_SPANS)
        facts = {"service.name": SERVICE_NAME, "service.version": __version__}
        if instance:
            facts["service.instance.id"] = instance
        self._resource = Resource.create(facts)

    def finished(self, record: RequestRecord) -> None:
        """Trace a request; see :class:`serve_app.contracts.request_record.Observer`."""
        if record.trace is not None and record.trace.sampled:
            for span in request_spans(record, record.trace, self._resource):
                self._processor.on_end(span)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Send pending spans and end the thread; spans that cannot be sent in time are lost."""
        # The SDK itself would try for 30 s, all that a replica has for its end.
        sending = threading.Thread(target=self._processor.shutdown, daemon=True)
        sending.start()
        sending.join(timeout_s)
        if sending.is_alive():
            self._exporter.shutdown()


def request_spans(
    record: RequestRecord, trace: TraceContext, resource: Resource
) -> list[ReadableSpan]:
    """The spans of a request: each candidate asked (last one first), routing, the request.

    Attempts follow one another without a pause and the last one gave the first byte, so their
    beginnings are reckoned backwards from it.

    Args:
        record: a request that has ended.
        trace: its place in a trace.
        resource: what the spans say of this process.
    """
    make = _SpanMaker(record, trace, resource)
    operation = _OPERATIONS.get(record.endpoint)
    what = operation or record.endpoint
    end_s = record.started_s if record.ended_s is None else record.ended_s
    begun_s = end_s if record.first_byte_s is None else record.first_byte_s
    spans = []
    is_last = True
    for candidate, outcome, seconds in reversed(record.attempts):
        until_s = end_s if is_last and outcome in _RELAYED else begun_s
        begun_s -= seconds
        is_answer = is_last and outcome == "answered"
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": candidate,
            "error.type": None if outcome == "answered" else outcome,
            **(_answer_attributes(record) if is_answer else {}),
        }
        spans.append(make.child(f"{what} {candidate}", "CLIENT", begun_s, until_s, attributes))
        is_last = False
    if record.routed and record.reason is not None:
        start_s = max(record.started_s, begun_s - record.routing_s)
        routing = _routing_attributes(record)
        spans.append(make.child("route", "INTERNAL", start_s, begun_s, routing))
    name = what if record.requested is None else f"{what} {record.requested}"
    spans.append(make.request(name, end_s, _request_attributes(record, operation)))
    return spans


class _SpanMaker:
    """Makes the spans of one request.

    Directly, which takes 3 microseconds each: by way of the SDK's tracer it is 20.
    """

    def __init__(self, record: RequestRecord, trace: TraceContext, resource: Resource) -> None:
        self._record, self._trace, self._resource = record, trace, resource
        self._state = TraceState.from_header([trace.tracestate]) if trace.tracestate else None
        self._own = self._context(int(trace.span_id, 16))

    def request(self, name: str, end_s: float, attributes: Facts) -> ReadableSpan:
        """The span of the request itself, child of the caller's."""
        caller = self._trace.parent_id
        parent = None if caller is None else self._context(int(caller, 16), is_remote=True)
        is_error = self._record.status >= 500  # a 4xx is not a server error
        times = (self._record.started_s, end_s)
        return self._span(name, "SERVER", self._own, parent, times, attributes, is_error)

    def child(
        self, name: str, kind: str, start_s: float, end_s: float, attributes: Facts
    ) -> ReadableSpan:
        """A span within the request."""
        context = self._context(random.getrandbits(64) or 1)
        is_error = attributes.get("error.type") is not None
        return self._span(name, kind, context, self._own, (start_s, end_s), attributes, is_error)

    def _context(self, span_id: int, *, is_remote: bool = False) -> SpanContext:
        trace_id = int(self._trace.trace_id, 16)
        return SpanContext(trace_id, span_id, is_remote, _SAMPLED, self._state)

    def _span(
        self,
        name: str,
        kind: str,
        context: SpanContext,
        parent: SpanContext | None,
        times_s: tuple[float, float],
        attributes: Facts,
        is_error: bool,
    ) -> ReadableSpan:
        start_ns, end_ns = (self._unix_ns(moment_s) for moment_s in times_s)
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            {key: value for key, value in attributes.items() if value is not None},
            kind=SpanKind[kind],
            status=Status(StatusCode.ERROR) if is_error else Status(),
            start_time=start_ns,
            end_time=end_ns,
        )

    def _unix_ns(self, moment_s: float) -> int:
        return round(1e9 * (self._record.received_at + (moment_s - self._record.started_s)))


def _request_attributes(record: RequestRecord, operation: str | None) -> Facts:
    return {
        "http.request.method": "POST",
        "http.route": _ROUTES.get(record.endpoint),
        "http.response.status_code": record.status,
        "error.type": (record.error_code or str(record.status)) if record.status >= 400 else None,
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": record.requested,
        "gen_ai.request.stream": record.stream,
        "modelsat.request_id": record.request_id,
        **_answer_attributes(record),
        **_routing_attributes(record),
    }


def _routing_attributes(record: RequestRecord) -> Facts:
    return {
        "modelsat.routing.reason": record.reason,
        "modelsat.routing.confidence": record.confidence,
        "modelsat.routing.zoo_version": record.zoo_version,
    }


def _answer_attributes(record: RequestRecord) -> Facts:
    return {
        "gen_ai.response.model": record.candidate if record.status < 400 else None,
        "gen_ai.usage.input_tokens": record.prompt_tokens,
        "gen_ai.usage.output_tokens": record.completion_tokens,
    }
