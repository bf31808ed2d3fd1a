import asyncio
import json

import pytest

from serve_app.candidates import stream
from serve_app.candidates.rewriting import Rewriter
from serve_app.candidates.stream import EventParts
from serve_app.contracts.answers import CandidateFailure

CHUNK = b'data: {"choices": [{"index": 0, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


class FakeSource:
    """Pieces of bytes; raises exceptions among them; blocks at an Ellipsis."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.num_closed = 0

    async def read(self):
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        if piece is ...:
            await asyncio.Event().wait()
        return piece

    async def close(self):
        self.num_closed += 1


def collect(source):
    async def run():
        parts = EventParts(source, Rewriter("m", "chat"))
        await parts.begin()
        return [part async for part in parts]

    return asyncio.run(run())


def names(parts):
    events = [event for part in parts for event in part.split(b"\n\n") if event]
    return [
        event if event == b"data: [DONE]" else json.loads(event[6:])["model"] for event in events
    ]


def test_a_part_holds_the_events_that_one_piece_completes():
    parts = collect(FakeSource(CHUNK + CHUNK[:9], CHUNK[9:], DONE))
    assert [names([part]) for part in parts] == [["m"], ["m"], [b"data: [DONE]"]]


@pytest.mark.parametrize(
    "rest", [(), (b"",), (b"more",), (...,), (CandidateFailure("unreachable"),)]
)
def test_a_stream_ends_with_done_and_its_source_is_closed_once(rest):
    source = FakeSource(CHUNK, DONE, *rest)
    assert names(collect(source)) == ["m", b"data: [DONE]"]
    assert source.num_closed == 1


def test_data_after_done_is_read_so_that_the_connection_can_be_reused():
    source = FakeSource(CHUNK, DONE, b"0")
    collect(source)
    assert source.pieces == []


def test_comments_do_not_begin_an_answer():
    source = FakeSource(b": ping\n\n", b": ping\n\n", b"data: garbage\n\n")
    with pytest.raises(CandidateFailure, match="garbage"):
        asyncio.run(EventParts(source, Rewriter("m", "chat")).begin())


def test_a_document_over_several_lines_becomes_one_line():
    document = b'data: {"choices": [\ndata: {"index":\ndata: 0}]}\n\n'
    (event, *_done) = b"".join(collect(FakeSource(document, CHUNK, DONE))).split(b"\n\n")
    assert json.loads(event.removeprefix(b"data: "))["choices"] == [{"index": 0}]
    assert b"\n" not in event


@pytest.mark.parametrize("piece", [b"x" * 60, b"data: x\n" * 20])
def test_an_endless_event_is_malformed(monkeypatch, piece):
    monkeypatch.setattr(stream, "_MAX_EVENT_BYTES", 100)

    async def run():
        parts = EventParts(FakeSource(CHUNK, *[piece] * 4, ...), Rewriter("m", "chat"))
        assert names([await anext(parts)]) == ["m"]
        with pytest.raises(CandidateFailure, match="garbage"):
            await anext(parts)

    asyncio.run(run())
