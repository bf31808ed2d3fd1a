"""An OpenAI-compatible server that misbehaves on command.

In a test: ``with running_upstream(status=503) as upstream: ... upstream.behave(status=None)``.
As a process: ``python -m tests.support.upstream --port 9000``, then ``POST /control`` with the
fields of `Behaviour`; ``GET /control`` tells what the server has received.
"""

import argparse
import asyncio
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
import uvloop
from aiohttp import web
from pydantic import Field

from modelsat.config import FrozenConfig
from tests.support.answers import (
    Completion,
    context_length_error,
    count_words,
    embeddings_document,
    error_document,
    models_document,
)

Fault = Literal[
    "context_length",  # 400 in OpenAI's shape
    "silence",  # accepts the request and never answers
    "stall",  # stops sending after `after_chunks` events and holds the connection
    "close",  # closes the connection after `after_chunks` events
    "not_json",  # 200 with text that is not JSON
    "html",  # 200 with a page of some proxy
    "truncated",  # 200 with the first half of a document
    "wrong_types",  # 200 with JSON whose fields have other types than OpenAI's
    "empty",  # 200 without a body
]
_KEPT_REQUESTS = 64
_ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_GARBAGE = {
    "not_json": (b"upstream connect error", "application/json"),
    "html": (b"<html><body>502 Bad Gateway</body></html>", "text/html"),
    "wrong_types": (b'{"id": 7, "choices": "none", "usage": [1]}', "application/json"),
    "empty": (b"", "application/json"),
}


class Behaviour(FrozenConfig):
    """How the server answers from now on.

    Attributes:
        latency_s: wait before the first byte.
        tokens_per_s: speed after it; at once when None.
        num_tokens: tokens of an answer, fewer if the request allows fewer.
        statuses: status of the first requests from now on, in order; 200 is none.
        status: status of all later ones; None is none.
        retry_after_s: ``Retry-After`` of a 429 or 503.
        fault: what goes wrong with every request that no status refuses.
        after_chunks: events sent before a stream stalls or closes.
        padding_bytes: size of a field of spaces added to every document.
        context_words: most words of a prompt; longer ones get OpenAI's 400 for them.
    """

    latency_s: float = Field(default=0, ge=0)
    tokens_per_s: float | None = Field(default=None, gt=0)
    num_tokens: int = Field(default=8, ge=0)
    statuses: tuple[int, ...] = ()
    status: int | None = None
    retry_after_s: float | None = None
    fault: Fault | None = None
    after_chunks: int = Field(default=0, ge=0)
    padding_bytes: int = Field(default=0, ge=0)
    context_words: int | None = Field(default=None, ge=1)


class Upstream:
    """One fake server.

    Attributes:
        name: every token of its answers says it.
        behaviour: in force; change it with `behave`.
        num_requests: requests by path.
        num_cancelled: requests whose client went away before the answer was complete.
        max_open: most requests that were being answered at one moment.
        requests: the last requests, as ``(path, headers, body)``, newest last.
    """

    def __init__(self, name: str = "fake", models: tuple[str, ...] = ("fake-model",)) -> None:
        """Make a server that behaves; nothing listens until `start`."""
        self.name, self._models = name, models
        self.behaviour = Behaviour()
        self.requests: deque[tuple[str, dict[str, str], Any]] = deque(maxlen=_KEPT_REQUESTS)
        self.num_requests: Counter[str] = Counter()
        self.num_cancelled = 0
        self.max_open = self._num_open = 0
        self.port = 0
        self._num_since_change = 0
        self._server = web.Server(self._answer, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        """Base URL, as a candidate's ``base_url``."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def num_connections(self) -> int:
        """Connections open now, idle ones included."""
        return len(self._server.connections)

    def behave(self, **changes: Any) -> None:
        """Reset to a well-behaved server, with these fields of `Behaviour`."""
        self.behaviour = Behaviour(**changes)
        self._num_since_change = 0

    def received(self) -> dict[str, Any]:
        """What has come in until now, as JSON."""
        return {
            "num_requests": dict(self.num_requests),
            "num_cancelled": self.num_cancelled,
            "num_connections": self.num_connections,
            "requests": [
                {"path": path, "headers": headers, "body": body}
                for path, headers, body in self.requests
            ],
        }

    async def start(self, port: int = 0) -> None:
        """Listen on a port of this machine; 0 is any free one."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/control":
            return await self._control(request)
        if request.path == "/v1/models" and request.method == "GET":
            return _json(models_document(self._models))
        if request.path not in _ENDPOINTS or request.method != "POST":
            return _json(error_document(404, "no such path"), 404)
        self._num_open += 1
        self.max_open = max(self.max_open, self._num_open)
        try:
            return await self._complete(request)
        except (asyncio.CancelledError, ConnectionError):
            self.num_cancelled += 1
            raise
        finally:
            self._num_open -= 1

    async def _control(self, request: web.BaseRequest) -> web.Response:
        if request.method == "POST":
            try:
                self.behave(**msgspec.json.decode(await request.read()))
            except (ValueError, TypeError) as error:
                return _json(error_document(400, str(error)), 400)
        return _json(self.received())

    async def _complete(self, request: web.BaseRequest) -> web.StreamResponse:
        behaviour, number = self.behaviour, self._num_since_change
        self._num_since_change += 1
        self.num_requests[request.path] += 1
        try:
            body = msgspec.json.decode(await request.read())
        except msgspec.DecodeError:
            return _json(error_document(400, "the body is not JSON"), 400)
        self.requests.append((request.path, dict(request.headers), body))
        if behaviour.latency_s:
            await asyncio.sleep(behaviour.latency_s)
        listed = number < len(behaviour.statuses)
        status = behaviour.statuses[number] if listed else behaviour.status
        if status is not None and status != 200:
            return _refusal(status, behaviour.retry_after_s)
        if behaviour.fault == "context_length" or _is_too_long(body, behaviour):
            return _json(context_length_error(), 400)
        if behaviour.fault == "silence":
            await asyncio.Event().wait()
        if behaviour.fault in _GARBAGE:
            content, kind = _GARBAGE[behaviour.fault]
            return web.Response(body=content, content_type=kind)
        return await self._succeed(request, body, behaviour, number)

    async def _succeed(
        self, request: web.BaseRequest, body: Any, behaviour: Behaviour, number: int
    ) -> web.StreamResponse:
        if request.path == "/v1/embeddings":
            return await _whole(request, embeddings_document(body), behaviour)
        completion = Completion(
            body,
            chat=request.path == "/v1/chat/completions",
            server=self.name,
            num_tokens=behaviour.num_tokens,
            number=number,
        )
        if body.get("stream"):
            return await _streamed(request, completion, behaviour)
        if behaviour.tokens_per_s:
            await asyncio.sleep(len(completion.tokens) / behaviour.tokens_per_s)
        return await _whole(request, completion.document(), behaviour)


async def _whole(
    request: web.BaseRequest, document: dict[str, Any], behaviour: Behaviour
) -> web.StreamResponse:
    content = msgspec.json.encode(_padded(document, behaviour))
    if behaviour.fault == "truncated":
        return web.Response(body=content[: len(content) // 2], content_type="application/json")
    if behaviour.fault not in ("stall", "close"):
        return web.Response(body=content, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    return await _break_off(request, response, behaviour.fault)


async def _streamed(
    request: web.BaseRequest, completion: Completion, behaviour: Behaviour
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    pause_s = 1 / behaviour.tokens_per_s if behaviour.tokens_per_s else 0
    async for number, event in _events(completion, behaviour, pause_s):
        if behaviour.fault in ("stall", "close") and number == behaviour.after_chunks:
            return await _break_off(request, response, behaviour.fault)
        await response.write(event)
    await response.write_eof()
    return response


async def _events(
    completion: Completion, behaviour: Behaviour, pause_s: float
) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    for number, chunk in enumerate(completion.chunks()):
        if number and pause_s:
            await asyncio.sleep(pause_s)
        document = msgspec.json.encode(_padded(chunk, behaviour))
        if behaviour.fault == "truncated" and number == behaviour.after_chunks:
            document = document[: len(document) // 2]
        yield number, b"data: " + document + b"\n\n"
    yield number + 1, b"data: [DONE]\n\n"


async def _break_off(
    request: web.BaseRequest, response: web.StreamResponse, fault: str
) -> web.StreamResponse:
    if fault == "stall":
        await asyncio.Event().wait()
    if request.transport is not None:
        request.transport.close()  # what was written still goes out, the end of the body does not
    return response


def _is_too_long(body: Any, behaviour: Behaviour) -> bool:
    words = count_words(body.get("messages", body.get("prompt", "")))
    return behaviour.context_words is not None and words > behaviour.context_words


def _padded(document: dict[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    return (
        {**document, "padding": " " * behaviour.padding_bytes}
        if behaviour.padding_bytes
        else document
    )


def _refusal(status: int, retry_after_s: float | None) -> web.Response:
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    return _json(error_document(status, f"the fake upstream answers {status}"), status, headers)


def _json(
    document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        headers=headers,
        content_type="application/json",
    )


@contextmanager
def running_upstream(
    name: str = "fake",
    *,
    port: int = 0,
    models: tuple[str, ...] = ("fake-model",),
    **behaviour: Any,
) -> Iterator[Upstream]:
    """A server on a thread of its own; ``behaviour`` are fields of `Behaviour`."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"upstream-{name}", daemon=True)
    thread.start()

    async def make() -> Upstream:
        upstream = Upstream(name, models)
        upstream.behave(**behaviour)
        await upstream.start(port)
        return upstream

    upstream = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(upstream.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(name: str, port: int) -> None:
    upstream = Upstream(name)
    await upstream.start(port)
    print(upstream.url, flush=True)  # noqa: T201 - the parent process reads it
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is stopped; the first line of output is the base URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="fake")
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.name, arguments.port))


if __name__ == "__main__":
    main()
