"""Decoder of server-sent events: bytes in any pieces in, whole events out.

Follows the HTML standard, section 9.2.6 "Interpreting an event stream", with one exception: an
event that is unfinished when the stream ends is returned, because some servers end with
``data: [DONE]`` and no empty line.
"""

from typing import NamedTuple

DONE = b"[DONE]"
COMMENT = b":\n\n"  # keeps a connection alive and has no content

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event.

    Attributes:
        name: its type; empty unless stated.
        data: its data, lines joined by a line feed; None for comments only.
    """

    name: bytes
    data: bytes | None


class EventTooLong(ValueError):
    """An event is longer than allowed."""


class EventDecoder:
    """Splits a stream of bytes into events.

    Works on bytes: line ends cannot be part of a longer UTF-8 character, so a character split
    between two pieces is whole again when its event is.
    """

    def __init__(self, max_event_bytes: int) -> None:
        """Begin a stream with a limit for the size of an event."""
        self._max_event_bytes = max_event_bytes
        self._rest = b""
        self._at_start = True
        self._ended_in_return = False

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next bytes; return the events that they complete.

        Raises:
            EventTooLong: the event that is still unfinished was longer than allowed before.
        """
        if len(self._rest) > self._max_event_bytes:
            raise EventTooLong(f"an event is longer than {self._max_event_bytes} bytes")
        if self._ended_in_return:
            piece = piece.removeprefix(b"\n")
        self._ended_in_return = piece.endswith(b"\r")
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # The end of an event may span both pieces; it cannot be before them.
        seam = max(0, len(self._rest) - 1)
        text = self._rest + piece if self._rest else piece
        if self._at_start and len(text) >= len(_BYTE_ORDER_MARK):
            self._at_start, seam = False, 0
            text = text.removeprefix(_BYTE_ORDER_MARK)
        if text.find(b"\n\n", seam) < 0:
            self._rest = text
            return []
        *blocks, self._rest = text.split(b"\n\n")
        return [event for block in blocks if (event := _parse(block)) is not None]

    def finish(self) -> list[Event]:
        """Return the event that is unfinished at the end of the stream, if there is one."""
        rest, self._rest = self._rest, b""
        event = _parse(rest)
        return [] if event is None else [event]


def _parse(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return Event(b"", block[6:])
    name, lines, has_comment = b"", [], False
    for line in block.split(b"\n"):
        if line.startswith(b":"):
            has_comment = True
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    if lines:
        return Event(name, b"\n".join(lines))
    return Event(b"", None) if has_comment else None
