"""One HTTP exchange as ASGI messages: reply, body, client, and the limits on them."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from serve_app.contracts import headers as named
from serve_app.contracts.errors import ApiError, error_event, overloaded

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# An allowed `x-request-id`; others are replaced.
REQUEST_ID = re.compile(named.REQUEST_ID_PATTERN.encode())

_CONTENT_LENGTH = named.as_key(named.CONTENT_LENGTH)
_CONTENT_TYPE = named.as_key(named.CONTENT_TYPE)
_REQUEST_ID = named.as_key(named.REQUEST_ID)

_log = logging.getLogger("ray.serve.modelsat")


class Reply:
    """A ``send`` that remembers what was sent and adds the request id.

    Attributes:
        status: HTTP status that was sent; 0 before.
        complete: whether the end of the body was sent.
    """

    def __init__(self, send: Send, request_id: str | None) -> None:
        """Wrap a ``send``; with None as request id, no header is added."""
        self._send, self._request_id = send, request_id
        self.status = 0
        self.complete = False
        self._is_event_stream = False

    async def __call__(self, message: Message) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            self._is_event_stream = any(
                name == _CONTENT_TYPE and value.startswith(b"text/event-stream")
                for name, value in headers
            )
            if self._request_id is not None:
                headers.append((_REQUEST_ID, self._request_id.encode()))
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    async def fail(self, error: ApiError) -> None:
        """Reply with an error; a stream that has begun ends with the error as an event."""
        if self.complete:
            return
        if self.status == 0:
            body = msgspec.json.encode(error.body)
            headers = [(_CONTENT_TYPE, b"application/json")]
            headers.append((_CONTENT_LENGTH, str(len(body)).encode()))
            headers += [
                (named.as_key(name), value.encode()) for name, value in error.headers.items()
            ]
            await self({"type": "http.response.start", "status": error.status, "headers": headers})
        else:
            body = error_event(error).encode() if self._is_event_stream else b""
        await self({"type": "http.response.body", "body": body, "more_body": False})


class ClientWatch:
    """Cancels the running task if its client disconnects before the reply is complete."""

    def __init__(self, receive: Receive, reply: Reply) -> None:
        """Start watching for the running task, once the request's body has been read."""
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._receive, self._reply = receive, reply
        self._disconnected = False
        self._watching = asyncio.create_task(self._watch())

    def replay(self, body: bytes) -> Receive:
        """Return a ``receive`` that gives a body that was read before, then waits."""
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await asyncio.shield(self._watching)
            return {"type": "http.disconnect"}

        return receive

    def take_back(self) -> bool:
        """Return whether this cancelled the task; if so, undo the cancellation."""
        return self._disconnected and self._task.uncancel() == 0

    def stop(self) -> None:
        """Stop watching."""
        self._watching.cancel()

    async def _watch(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except Exception as error:  # noqa: BLE001  # the proxy that held the connection is gone
            _log.warning("connection lost: %s", type(error).__name__)
        if not self._reply.complete:
            self._disconnected = True
            self._task.cancel()


class ConcurrencyLimiter:
    """Limits how many requests are in flight and how many wait, first in, first out."""

    def __init__(self, max_in_flight: int, max_queued: int, queue_timeout_s: float) -> None:
        """Set the limits; see :class:`serve_app.config.IngressOptions`."""
        self._max_in_flight = max_in_flight
        self._max_queued = max_queued
        self._queue_timeout_s = queue_timeout_s
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def in_flight(self) -> int:
        """Number of requests in flight."""
        return self._in_flight

    @property
    def queued(self) -> int:
        """Number of requests that wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Count as in flight for the length of a block, after waiting if necessary.

        Raises:
            ApiError: 503: the queue is full, or no slot became free in time.
        """
        if self._in_flight < self._max_in_flight:
            self._in_flight += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._release()

    async def _wait(self) -> None:
        if len(self._waiting) >= self._max_queued:
            raise overloaded("the queue of requests is full; retry later", code="queue_full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._queue_timeout_s):
                await turn
        except TimeoutError:
            self._leave(turn)
            raise overloaded(
                f"the request waited for {self._queue_timeout_s:g} s; retry later",
                code="queue_timeout",
            ) from None
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def _leave(self, turn: "asyncio.Future[None]") -> None:
        """Stop waiting; pass on a slot that was assigned at the same moment."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled():
            self._release()

    def _release(self) -> None:
        """Assign the slot to the request that has waited longest, if there is one."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._in_flight -= 1


def check_length(headers: Mapping[bytes, bytes], max_bytes: int) -> None:
    """Refuse a body whose ``Content-Length`` is too large before it is read.

    Raises:
        ApiError: 413.
    """
    length = headers.get(_CONTENT_LENGTH, b"")
    if length.isdigit() and int(length[:20]) > max_bytes:
        raise _too_large(max_bytes)


def limited(receive: Receive, max_bytes: int) -> Receive:
    """Return a ``receive`` that raises ApiError 413 if the body turns out larger than a limit."""
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
    """Read a whole body; None if the client disconnected before its end.

    Raises:
        ApiError: 413: it is too large; 408: it did not arrive in time.
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
