"""W3C Trace Context: examples and rules of the recommendation."""

import pytest

from serve_app.contracts.trace_context import begin_trace

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def test_the_callers_trace_is_joined_and_passed_on_with_a_span_of_ours():
    context = begin_trace(f"00-{TRACE}-{SPAN}-01", "congo=t61rcWkgMzE", sample_fraction=0.0)
    assert (context.trace_id, context.parent_id, context.sampled) == (TRACE, SPAN, True)
    assert context.span_id != SPAN
    assert context.headers() == {
        "traceparent": f"00-{TRACE}-{context.span_id}-01",
        "tracestate": "congo=t61rcWkgMzE",
    }


def test_the_callers_decision_not_to_sample_is_kept():
    context = begin_trace(f"00-{TRACE}-{SPAN}-00", None, sample_fraction=1.0)
    assert not context.sampled
    assert context.headers() == {"traceparent": f"00-{TRACE}-{context.span_id}-00"}


def test_without_tracing_the_callers_trace_is_passed_on_unchanged():
    context = begin_trace(f"00-{TRACE}-{SPAN}-01", "a=1", sample_fraction=None)
    assert context.headers() == {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"}
    assert begin_trace(None, None, sample_fraction=None) is None


def test_a_later_version_is_read_as_far_as_it_is_known():
    later = begin_trace(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", None, sample_fraction=0.0)
    assert (later.trace_id, later.parent_id) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\r\nx-evil: 1",
    ],
)
def test_a_malformed_header_begins_a_new_trace(header):
    context = begin_trace(header, "a=1", sample_fraction=1.0)
    assert context.parent_id is None
    assert context.tracestate is None
    assert context.sampled
    assert context.trace_id != TRACE


@pytest.mark.parametrize("tracestate", ["", "x" * 513, "a=1\r\nb: c", "a=\u00e9"])
def test_a_tracestate_that_cannot_be_passed_on_is_dropped(tracestate):
    context = begin_trace(f"00-{TRACE}-{SPAN}-01", tracestate, sample_fraction=1.0)
    assert list(context.headers()) == ["traceparent"]


def test_the_fraction_decides_by_the_traces_id():
    contexts = [begin_trace(None, None, sample_fraction=0.25) for _ in range(2000)]
    sampled = {int(c.trace_id, 16) & (2**64 - 1) for c in contexts if c.sampled}
    others = {int(c.trace_id, 16) & (2**64 - 1) for c in contexts if not c.sampled}
    assert max(sampled) < 2**62 <= min(others)
    assert len({c.span_id for c in contexts}) == 2000
    assert not any(begin_trace(None, None, sample_fraction=0.0).sampled for _ in range(100))
    assert all(begin_trace(None, None, sample_fraction=1.0).sampled for _ in range(100))
