"""Streams of candidates behind a URL, byte by byte."""

import asyncio
import json

import pytest

from serve_app.candidates.rewriting import UpstreamError
from serve_app.contracts.answers import CandidateFailure
from tests.support.serve_app.raw_upstream import (
    STREAM,
    ask,
    chunk,
    client_of,
    events,
    raw_server,
)

pytestmark = pytest.mark.usefixtures("loopback")


def stream_of(*pieces, hold=False):
    """Events that a client gets from a response with these bytes, then the failure, if any."""

    async def run():
        got = []
        async with raw_server(*pieces, hold=hold) as url, client_of(url) as client:
            answer = await client.open("chat", STREAM, timeout_s=5)
            try:
                async for part in answer.parts:
                    got += [event for event in part.decode().split("\n\n") if event]
            except (CandidateFailure, UpstreamError) as failure:
                return got, failure
            return got, None

    return asyncio.run(run())


def contents(got):
    chunks = [json.loads(event.removeprefix("data: ")) for event in got if "choices" in event]
    return [document["choices"][0]["delta"]["content"] for document in chunks]


def test_chunks_are_relayed_for_any_line_ends_comments_and_packet_boundaries():
    response = events(chunk("gr\u00fc\u00df"), chunk("b", "stop"), end=b"\r\n\r\n")
    head, body = response.split(b"\r\n\r\n", 1)
    whole = head + b"\r\n\r\n: hello\r\n\r\n" + body
    got, failure = stream_of(*[whole[i : i + 1] for i in range(len(whole))])
    assert failure is None
    assert contents(got) == ["gr\u00fc\u00df", "b"]
    assert got[-1] == "data: [DONE]"


def test_comments_are_relayed_without_their_text():
    whole = events(chunk("a"), done=False) + b": secret\n\n" + b"data: [DONE]\n\n"
    got, failure = stream_of(whole)
    assert (got[1:], failure) == ([":", "data: [DONE]"], None)


def test_done_is_added_to_a_complete_answer_that_lacks_it():
    got, failure = stream_of(events(chunk("a"), chunk("b", "stop"), done=False))
    assert failure is None
    assert (contents(got), got[-1]) == (["a", "b"], "data: [DONE]")


def test_an_incomplete_answer_that_ends_is_a_failure():
    got, failure = stream_of(events(chunk("a"), done=False))
    assert contents(got) == ["a"]
    assert failure.kind == "garbage"


def test_nothing_after_done_is_relayed_or_waited_for():
    got, failure = stream_of(events(chunk("a")) + events(chunk("b")), hold=True)
    assert failure is None
    assert (contents(got), got[-1]) == (["a"], "data: [DONE]")


def test_a_stream_of_done_only_is_malformed():
    with pytest.raises(CandidateFailure, match="garbage"):
        stream_of(events())


def test_malformed_data_ends_a_stream_after_the_chunks_before_it():
    got, failure = stream_of(events(chunk("a"), "garbage", chunk("b")))
    assert contents(got) == ["a"]
    assert failure.kind == "garbage"


@pytest.mark.parametrize("name", [b"", b"event: error\n"])
def test_an_error_ends_a_stream_after_the_chunks_before_it(name):
    error = b'data: {"error": {"message": "m", "code": 503}}\n\n'
    got, failure = stream_of(events(chunk("a"), done=False) + name + error)
    assert contents(got) == ["a"]
    assert isinstance(failure, UpstreamError)
    assert failure.status == (500 if name else 503)


def test_a_stream_carries_the_key_that_its_errors_may_not_repeat(monkeypatch):
    monkeypatch.setenv("GIRAFFE_KEY", "sk-secret")

    async def run():
        async with (
            raw_server(events(chunk("a"))) as url,
            client_of(url, api_key_env="GIRAFFE_KEY") as client,
        ):
            answer = await client.open("chat", STREAM, timeout_s=5)
            await answer.parts.aclose()
            return answer

    answer = asyncio.run(run())
    assert answer.secret == "sk-secret"
    assert "sk-secret" not in repr(answer)


@pytest.mark.parametrize(("code", "kind"), [(429, "rate_limited"), (None, "server_error")])
def test_an_error_before_any_chunk_is_a_failure(code, kind):
    with pytest.raises(CandidateFailure) as failure:
        stream_of(events({"error": {"message": "m", "code": code}}))
    assert failure.value.kind == kind


def test_a_refusal_before_any_chunk_is_an_answer():
    async def run():
        async with raw_server(events({"error": {"message": "no", "code": 400}}), hold=True) as url:
            return await ask(url, STREAM)

    status, (document,), _facts = asyncio.run(run())
    assert (status, json.loads(document)["error"]["message"]) == (400, "no")
