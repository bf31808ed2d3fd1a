"""Log lines, read back through the formatters and filters of Ray Serve."""

import io
import json
import logging
import logging.handlers

import pytest
from ray._common.formatters import JSONFormatter
from ray.serve._private.logging_utils import (
    ServeComponentFilter,
    ServeContextFilter,
    ServeCoreContextFilter,
    ServeFormatter,
    ServeLogAttributeRemovalFilter,
    log_access_log_filter,
    log_to_stderr_filter,
)
from ray.serve.context import _RequestContext, _serve_request_context

from serve_app.contracts.trace_context import TraceContext
from serve_app.observe.logs import RequestLog
from tests.support.serve_app.observe_parts import make_record


def lines_of(formatter, *records, filters=()):
    """The output of a handler that is set up like that of a replica."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    for one in filters:
        handler.addFilter(one)
    logger = logging.Logger("requests")
    logger.addHandler(handler)
    log = RequestLog(logger)
    for record in records:
        log.finished(record)
    return stream.getvalue().splitlines()


@pytest.fixture
def filters():
    """The formatter and filters that Serve 2.60 sets for a replica's file (JSON encoding).

    A request is being served, whose id Serve made itself.
    """
    token = _serve_request_context.set(_RequestContext(request_id="made-by-serve"))
    yield (
        ServeCoreContextFilter(),
        ServeContextFilter(),
        ServeComponentFilter("Ingress", "replica-1", "replica"),
        log_access_log_filter,
        ServeLogAttributeRemovalFilter(),
    )
    _serve_request_context.reset(token)


def test_a_request_is_one_json_object_in_the_replicas_file(filters):
    trace = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", None, True)
    lines = lines_of(JSONFormatter(), make_record(trace=trace), filters=filters)
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert line["message"] == "chat auto -> large 200"
    expected = {
        "request_id": "request-1",
        "endpoint": "chat",
        "requested": "auto",
        "candidate": "large",
        "reason": "highest_score",
        "confidence": 0.75,
        "status": 200,
        "error_code": None,
        "attempts": [
            {"candidate": "small", "outcome": "timeout", "ms": 250.0},
            {"candidate": "large", "outcome": "answered", "ms": 125.0},
        ],
        "duration_ms": 2000.0,
        "first_byte_ms": 500.0,
        "overhead_ms": 125.0,
        "routing_ms": 62.5,
        "upstream_ms": 375.0,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cost_usd": 0.002,
        "key": "team-a",
        "zoo_version": 3,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    assert {key: line[key] for key in expected} == expected


def test_lines_that_serve_keeps_back_are_written_after_a_few(filters):
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    target.setFormatter(JSONFormatter())
    parent, logger = logging.Logger("serve"), logging.Logger("requests")
    parent.addHandler(logging.handlers.MemoryHandler(1000, target=target))
    logger.parent = parent
    log = RequestLog(logger)
    for _ in range(100):
        log.finished(make_record())
    assert 60 <= len(stream.getvalue().splitlines()) < 100
    log.flush()
    assert len(stream.getvalue().splitlines()) == 100


def test_the_text_encoding_shows_the_request_id_and_the_message():
    lines = lines_of(ServeFormatter("Ingress", "replica-1"), make_record())
    assert len(lines) == 1
    assert "request-1" in lines[0]
    assert lines[0].endswith("chat auto -> large 200")


def test_no_second_copy_goes_to_standard_error():
    assert lines_of(JSONFormatter(), make_record(), filters=(log_to_stderr_filter,)) == []


def test_the_log_line_of_a_refusal_names_no_candidate():
    refused = make_record(
        candidate=None, attempts=[], status=400, error_code="invalid_parameter", first_byte_s=None
    )
    line = json.loads(lines_of(JSONFormatter(), refused)[0])
    assert line["candidate"] is line["overhead_ms"] is line["first_byte_ms"] is None
    assert (line["status"], line["error_code"], line["attempts"]) == (400, "invalid_parameter", [])


def test_the_scored_text_is_in_no_line(filters):
    secret = make_record(scored_text="my password is hunter2")
    for formatter in (JSONFormatter(), ServeFormatter("Ingress", "replica-1")):
        assert "hunter2" not in "".join(lines_of(formatter, secret, filters=filters))
