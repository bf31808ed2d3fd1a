"""Traces, as a collector receives them by OTLP over HTTP."""

import threading

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from serve_app.contracts.trace_context import begin_trace
from serve_app.observe.tracing import Tracing
from tests.support.serve_app.collector import CALLER, TRACE, Collector, values
from tests.support.serve_app.observe_parts import make_record


@pytest.fixture
def collected(loopback):
    """Passes records to the observer; returns the spans that reached the collector."""
    collector = Collector()
    yield lambda *records: _export(collector, records)
    collector.close()


def _export(collector, records):
    tracing = Tracing(collector.url + "/", instance="replica-1")
    for record in records:
        tracing.finished(record)
    tracing.close()
    return collector


def joined(**changes):
    trace = begin_trace(f"00-{TRACE}-{CALLER}-01", "congo=1", sample_fraction=0.0)
    attempts = [("small", "timeout", 0.25), ("large", "answered", 0.125)]
    return make_record(**{"trace": trace, "attempts": attempts, **changes})


def test_a_request_is_a_server_span_under_the_callers(collected):
    record = joined()
    collector = collected(record)
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.resources[0]["service.name"] == "modelsat"
    assert collector.resources[0]["service.instance.id"] == "replica-1"
    (span,) = [one for one in collector.spans if one.kind == Span.SPAN_KIND_SERVER]
    assert span.name == "chat auto"
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == CALLER
    assert span.span_id.hex() == record.trace.span_id
    assert span.trace_state == "congo=1"
    assert span.start_time_unix_nano == 1_700_000_000_000_000_000
    assert span.end_time_unix_nano == 1_700_000_002_000_000_000
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert values(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "auto",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "large",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "modelsat.routing.reason": "highest_score",
        "modelsat.routing.confidence": 0.75,
        "modelsat.routing.zoo_version": 3,
        "modelsat.request_id": "request-1",
    }


def test_routing_and_each_attempt_are_its_children_in_order(collected):
    record = joined()
    spans = {one.name: one for one in collected(record).spans}
    children = [spans["route"], spans["chat small"], spans["chat large"]]
    assert {one.parent_span_id.hex() for one in children} == {record.trace.span_id}
    assert len({one.span_id for one in spans.values()}) == 4

    def seconds(name):
        span = spans[name]
        times = (span.start_time_unix_nano, span.end_time_unix_nano)
        return tuple(round(time / 1e9 - 1_700_000_000, 4) for time in times)

    # The first byte came after 0.5 s, and the stream it began ended after 2 s.
    assert seconds("route") == (0.0625, 0.125)
    assert seconds("chat small") == (0.125, 0.375)
    assert seconds("chat large") == (0.375, 2.0)
    failed, answered = (
        values(spans["chat small"].attributes),
        values(spans["chat large"].attributes),
    )
    assert failed == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "error.type": "timeout",
    }
    assert spans["chat small"].status.code == Status.STATUS_CODE_ERROR
    assert answered["gen_ai.usage.output_tokens"] == 20
    assert spans["chat large"].status.code == Status.STATUS_CODE_UNSET
    assert spans["chat small"].kind == spans["chat large"].kind == Span.SPAN_KIND_CLIENT


def test_a_refusal_has_one_span_and_a_servers_failure_is_an_error(collected):
    nothing = {"candidate": None, "reason": None, "attempts": [], "first_byte_s": None}
    unknown = {"confidence": None, "prompt_tokens": None, "completion_tokens": None}
    refused = joined(**nothing, **unknown, requested=None, status=404, error_code="model_not_found")
    broken = joined(**nothing, **unknown, status=503, error_code="overloaded")
    first, second = collected(refused, broken).spans
    assert (first.name, first.status.code) == ("chat", Status.STATUS_CODE_UNSET)
    assert values(first.attributes)["error.type"] == "model_not_found"
    assert second.status.code == Status.STATUS_CODE_ERROR


def test_a_trace_that_begins_here_has_no_parent_and_none_unsampled_is_sent(collected):
    own = make_record(trace=begin_trace(None, None, sample_fraction=1.0))
    unsampled = begin_trace(f"00-{TRACE}-{CALLER}-00", None, sample_fraction=1.0)
    collector = collected(own, make_record(trace=unsampled), make_record(trace=None))
    assert {one.trace_id.hex() for one in collector.spans} == {own.trace.trace_id}
    (span,) = [one for one in collector.spans if one.kind == Span.SPAN_KIND_SERVER]
    assert span.parent_span_id == b""


def test_a_collector_that_does_not_answer_does_not_delay_shutdown():
    asked, stopped = threading.Event(), threading.Event()

    class Silent(SpanExporter):
        def export(self, _spans):
            asked.set()
            stopped.wait()
            return SpanExportResult.FAILURE

        def shutdown(self):
            stopped.set()

    tracing = Tracing("http://127.0.0.1:9", exporter=Silent())
    tracing.finished(make_record(trace=begin_trace(None, None, sample_fraction=1.0)))
    tracing.close(timeout_s=0.01)
    assert stopped.is_set()
    assert asked.wait(30)


def test_no_text_of_the_prompt_is_sent(collected):
    collector = collected(joined(scored_text="my password is hunter2"))
    assert "hunter2" not in "".join(str(one) for one in collector.spans)
