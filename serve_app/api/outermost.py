"""ASGI middleware around Ray Serve's own HTTP code, for what inner code cannot correct.

Ray installs it if the environment variable ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` is
``serve_app.api.outermost:layers``: in its proxies, and in ingress replicas that listen
themselves. Without it the endpoint works, except for these defects (Ray 2.60):

- headers that are not UTF-8 make Ray fail with a 500;
- ``x-request-id`` is echoed at any length;
- a client can switch off Ray's disconnect detection (``x-request-disconnect-disabled``);
- Ray's own errors (its queue is full, a replica died) are plain text or a bare 500.
"""

import logging
from collections.abc import Iterable, Iterator

from starlette.middleware import Middleware

from serve_app.api.connection import REQUEST_ID, App, Message, Receive, Reply, Scope, Send
from serve_app.contracts import headers as named
from serve_app.contracts.errors import ApiError, overloaded

_OURS = ("/v1/", "/admin/", "/health")  # other applications on the cluster are not touched
_CONTENT_TYPE = named.as_key(named.CONTENT_TYPE)
_REQUEST_ID = named.as_key(named.REQUEST_ID)
_DROPPED = frozenset(map(named.as_key, named.DROPPED))
_MESSAGES = {
    404: "no such path",
    408: "the answer took longer than allowed",
    429: "too many requests; retry later",
    503: "too many requests, or the server is starting or stopping; retry later",
}

_log = logging.getLogger("ray.serve.modelsat")

Headers = Iterable[tuple[bytes, bytes]]


def layers() -> list[Middleware]:
    """The middleware that Ray installs around its HTTP code."""
    return [Middleware(Outermost)]


class Outermost:
    """Outermost ASGI middleware."""

    def __init__(self, app: App) -> None:
        """Wrap Ray's application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection."""
        if scope["type"] != "http" or not scope["path"].startswith(_OURS):
            await self._app(scope, receive, send)
            return
        scope["headers"] = list(_cleaned(scope["headers"]))
        reply = Reply(_Shaping(send), None)
        try:
            await self._app(scope, receive, reply)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets a reply
            _log.error("Ray Serve failed on a request: %s", type(error).__name__)
        # The reply of a replica that died has not begun or is incomplete.
        await reply.fail(overloaded("the server failed on this request; retry", code="lost"))


class _Shaping:
    """A ``send`` that turns plain-text errors into OpenAI's shape."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._error: ApiError | None = None
        self._request_id: str | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            headers = dict(message["headers"])
            if headers.get(_CONTENT_TYPE, b"").startswith(b"text/plain"):
                self._error = _as_api_error(message["status"])
                self._request_id = headers.get(_REQUEST_ID, b"").decode("latin-1") or None
                return
        if self._error is None:
            await self._send(message)
        elif not message.get("more_body", False):
            await Reply(self._send, self._request_id).fail(self._error)


def _as_api_error(status: int) -> ApiError:
    message = _MESSAGES.get(status, "the server failed on this request")
    return ApiError(status, message, retry_after_s=1 if status in (429, 503) else None)


def _cleaned(headers: Headers) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        if name in _DROPPED or (name == _REQUEST_ID and not REQUEST_ID.fullmatch(value)):
            continue
        yield name, value if value.isascii() else _as_utf8(value)


def _as_utf8(value: bytes) -> bytes:
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value
