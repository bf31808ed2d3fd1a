"""Back-pressure: how many requests are worked on, how many wait, how large one may be."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from serve_app.api.connection import Message, Receive
from serve_app.api.errors import ApiError, overloaded


class Places:
    """Places for requests being worked on, and a queue before them, first come first served."""

    def __init__(self, max_in_flight: int, max_queued: int, queue_timeout_s: float) -> None:
        """Take the bounds; see :class:`serve_app.config.IngressOptions`."""
        self._max_in_flight = max_in_flight
        self._max_queued = max_queued
        self._queue_timeout_s = queue_timeout_s
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def in_flight(self) -> int:
        """Requests that hold a place."""
        return self._in_flight

    @property
    def queued(self) -> int:
        """Requests that wait for one."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for the length of a block, waiting for it where necessary.

        Raises:
            ApiError: 503: the queue is full, or no place became free in time.
        """
        if self._in_flight < self._max_in_flight:
            self._in_flight += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._give_on()

    async def _wait(self) -> None:
        if len(self._waiting) >= self._max_queued:
            raise overloaded("too many requests wait already; retry later", code="queue_full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._queue_timeout_s):
                await turn
        except TimeoutError:
            self._leave(turn)
            raise overloaded(
                f"no place became free within {self._queue_timeout_s:g} s; retry later",
                code="queue_timeout",
            ) from None
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def _leave(self, turn: "asyncio.Future[None]") -> None:
        """Give up waiting; a place that was handed over at the same moment goes on."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled():
            self._give_on()

    def _give_on(self) -> None:
        """Hand a place to whoever has waited longest, else free it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._in_flight -= 1


def check_length(headers: Mapping[bytes, bytes], max_bytes: int) -> None:
    """Refuse a body that says it is too long before it is read.

    Raises:
        ApiError: 413.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > max_bytes:
        raise _too_large(max_bytes)


def limited(receive: Receive, max_bytes: int) -> Receive:
    """A ``receive`` that counts the body and refuses what is longer than it says or says nothing.

    It raises ApiError 413 where the body goes beyond the limit.
    """
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return receive_counted


async def read_body(receive: Receive, max_bytes: int, timeout_s: float) -> bytes | None:
    """A whole body; None when the client left before its end.

    Raises:
        ApiError: 413: it is too long; 408: it did not come in time.
    """
    receive = limited(receive, max_bytes)
    chunks = []
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {timeout_s:g} s") from None


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"the body is larger than {max_bytes} bytes")
