"""One HTTP exchange, as ASGI has it: what is sent, and whether the client is still there."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from serve_app.api.errors import ApiError, error_event

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID = re.compile(rb"[!-~]{1,128}")  # of `x-request-id`; others are replaced

_log = logging.getLogger("ray.serve.modelsat")


class Reply:
    """A ``send`` that remembers what was sent and adds the request id.

    Attributes:
        status: HTTP status that was sent; 0 before.
        complete: whether the end of the body was sent.
    """

    def __init__(self, send: Send, request_id: str | None) -> None:
        """Wrap a ``send``; None adds no request id."""
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
                name == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in headers
            )
            if self._request_id is not None:
                headers.append((b"x-request-id", self._request_id.encode()))
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    async def fail(self, error: ApiError) -> None:
        """Answer with an error; a stream that has begun ends with it as an event."""
        if self.complete:
            return
        if self.status == 0:
            body = msgspec.json.encode(error.body)
            headers = [(b"content-type", b"application/json")]
            headers.append((b"content-length", str(len(body)).encode()))
            headers += [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
            await self({"type": "http.response.start", "status": error.status, "headers": headers})
        else:
            body = error_event(error).encode() if self._is_event_stream else b""
        await self({"type": "http.response.body", "body": body, "more_body": False})


class ClientWatch:
    """Cancels the running task when its client leaves before the answer is complete."""

    def __init__(self, receive: Receive, reply: Reply) -> None:
        """Watch on behalf of the running task, from after the request's body."""
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._receive, self._reply = receive, reply
        self._left = False
        self._watching = asyncio.create_task(self._watch())

    def replay(self, body: bytes) -> Receive:
        """A ``receive`` that gives a body that was read before, and then waits."""
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await asyncio.shield(self._watching)
            return {"type": "http.disconnect"}

        return receive

    def take_back(self) -> bool:
        """Whether this cancelled the task; if so, the cancellation is used up."""
        return self._left and self._task.uncancel() == 0

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
            self._left = True
            self._task.cancel()
