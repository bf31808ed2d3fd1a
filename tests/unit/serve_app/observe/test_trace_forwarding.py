"""The trace headers that a remote candidate receives."""

import asyncio

import pytest

from modelsat.zoo.engines.openai import OpenAICandidate
from serve_app.candidates.clients import open_session
from serve_app.candidates.engines.openai import UrlClient
from serve_app.contracts.trace_context import CURRENT_TRACE, begin_trace
from tests.support.upstream import running_upstream

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
CHAT = {"model": "auto", "messages": [{"role": "user", "content": "how tall is a giraffe"}]}


@pytest.fixture
def upstream(loopback):
    with running_upstream() as running:
        yield running


def headers_received(upstream, trace):
    """The headers that a candidate receives with a request of this trace."""
    candidate = OpenAICandidate(
        name="giraffe", engine="openai", base_url=upstream.url, model="m", context_window=8
    )

    async def ask():
        async with open_session(max_connections=1, connect_timeout_s=5) as session:
            CURRENT_TRACE.set(trace)
            client = UrlClient(candidate, session)
            # In a separate task, as the dispatcher may do it.
            answer = await asyncio.create_task(client.open("chat", CHAT, timeout_s=10))
            await answer.parts.aclose()

    asyncio.run(ask())
    _, headers, _ = upstream.requests[-1]
    return {name.lower(): value for name, value in headers.items()}


def test_a_candidate_joins_the_trace_under_the_requests_span(upstream):
    trace = begin_trace(f"00-{TRACE}-{CALLER}-01", "congo=1", sample_fraction=1.0)
    headers = headers_received(upstream, trace)
    assert headers["traceparent"] == f"00-{TRACE}-{trace.span_id}-01"
    assert headers["tracestate"] == "congo=1"


def test_a_request_without_a_trace_sends_no_trace_headers(upstream):
    headers = headers_received(upstream, None)
    assert not {"traceparent", "tracestate"} & set(headers)
