from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.candidates.sse import Event, EventDecoder, EventTooLong

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\r\n")


def decode(*pieces, max_event_bytes=1000):
    decoder = EventDecoder(max_event_bytes)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def data(*texts):
    return [Event(b"", text.encode()) for text in texts]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", data("a", "b")),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", data("a", "b")),
        (b"data: a\r\rdata: b\r\r", data("a", "b")),
        (b"data:a\n\n", data("a")),  # the space after the colon may be missing
        (b"data:  a\n\n", data(" a")),  # only one space is dropped
        (b"data: a\ndata: b\n\n", data("a\nb")),
        (b"data:  a \ndata:b\n\n", data(" a \nb")),
        (b"data\n\n", data("")),
        (b"\n\n\ndata: a\n\n\n\n", data("a")),
        (b"\xef\xbb\xbfdata: a\n\n", data("a")),
        (b": ping\n\n", [Event(b"", None)]),
        (b": ping\ndata: a\n\n", data("a")),
        (b"id: 7\nretry: 9\nunknown: x\ndata: a\n\n", data("a")),
        (b"id: 7\n\n", []),
        (b"event: error\ndata: a\n\n", [Event(b"error", b"a")]),
        (b"data: a: b\n\n", data("a: b")),
        (b"data: a\n\ndata: [DONE]", data("a", "[DONE]")),  # the end comes before the blank line
        (b"", []),
    ],
)
def test_events_of_a_stream(stream, events):
    assert decode(stream) == events


def test_a_line_end_cut_between_return_and_feed_ends_one_line():
    assert decode(b"data: a\r", b"\ndata: b\r", b"\n", b"\r", b"\n", b"data: c\n\n") == data(
        "a\nb", "c"
    )


def test_an_event_is_returned_as_soon_as_it_is_complete():
    decoder = EventDecoder(1000)
    assert decoder.feed(b"data: a") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"\ndata: b") == data("a")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(
    texts=st.lists(st.text(CHARACTERS, max_size=8), max_size=5),
    cuts=st.lists(st.integers(0, 120), max_size=12),
)
def test_events_do_not_depend_on_packet_boundaries(end, texts, cuts):
    """Packet boundaries fall anywhere, also inside characters and line ends."""
    stream = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:stop] for start, stop in pairwise(ends)]
    assert decode(*pieces) == data(*texts)


def test_an_event_without_end_is_refused():
    decoder = EventDecoder(100)
    decoder.feed(b"data: " + b"a" * 90)
    with pytest.raises(EventTooLong):
        for _ in range(2):
            decoder.feed(b"a" * 90)


def test_many_short_events_may_be_longer_together():
    assert len(decode(b"data: a\n\n" * 1000, max_event_bytes=100)) == 1000
