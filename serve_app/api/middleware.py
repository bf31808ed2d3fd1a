"""ASGI middleware that every request passes before its handler.

In this order: request id; API key; then, for inference requests, the request record, rate limit,
size, concurrency limit, body, deadline, and a watch for the client's disconnection.
"""

import asyncio
import logging
import math
import re
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.api.connection import (
    REQUEST_ID,
    App,
    ClientWatch,
    ConcurrencyLimiter,
    Receive,
    Reply,
    Scope,
    Send,
    check_length,
    limited,
    read_body,
)
from serve_app.api.key_file import ApiKey
from serve_app.api.services import Services
from serve_app.config import ServeConfig
from serve_app.contracts import headers as named
from serve_app.contracts.answers import Deadline
from serve_app.contracts.errors import ApiError
from serve_app.contracts.headers import MAX_TIMEOUT_S, MIN_TIMEOUT_S, TIMEOUT_S
from serve_app.contracts.request_record import RequestRecord
from serve_app.contracts.trace_context import CURRENT_TRACE, begin_trace

# Keys of the ASGI scope: the Exchange of an inference request, the ApiKey of any other request.
EXCHANGE = "modelsat.exchange"
API_KEY = "modelsat.key"
CLIENT_LEFT = 499

# Paths of inference requests, and the name of each endpoint in records.
INFERENCE_PATHS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/route": "route",
}
_OPEN = frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"})

# Serve's proxy has the same time limit and answers in plain text, so ours has to come first.
_MARGIN_FRACTION = 0.2
_MAX_MARGIN_S = 0.5

# Header names as ASGI writes them.
_AUTHORIZATION = named.as_key(named.AUTHORIZATION)
_REQUEST_ID = named.as_key(named.REQUEST_ID)
_TIMEOUT_S = named.as_key(TIMEOUT_S)
_TRACEPARENT = named.as_key(named.TRACEPARENT)
_TRACESTATE = named.as_key(named.TRACESTATE)

_NUMBER = re.compile(rb"\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,3})?")

_log = logging.getLogger("ray.serve.modelsat")


@dataclass
class Exchange:
    """An inference request as the middleware sees it.

    Attributes:
        record: its facts, as far as they are known.
        deadline: when its answer must have ended.
        key: its API key, if the endpoint requires keys.
    """

    record: RequestRecord
    deadline: Deadline
    key: ApiKey | None


class RequestMiddleware:
    """ASGI middleware around the routes."""

    def __init__(
        self,
        app: App,
        *,
        services: Services,
        config: ServeConfig,
        limiter: ConcurrencyLimiter,
        echo_request_id: bool,
    ) -> None:
        """Wrap an application; see :func:`serve_app.api.app.build_api` for the arguments."""
        self._app, self._services, self._limiter = app, services, limiter
        self._echo_request_id = echo_request_id
        self._max_body_bytes = config.ingress.max_body_bytes
        self._body_timeout_s = config.ingress.body_timeout_s
        self._request_timeout_s = config.request_timeout_s
        tracing = config.observability
        self._sample_fraction = tracing.trace_sample_fraction if tracing.otlp_endpoint else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(_REQUEST_ID))
        reply = Reply(send, request_id if self._echo_request_id else None)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        endpoint = INFERENCE_PATHS.get(path) if scope["method"] == "POST" else None
        if endpoint is None:
            try:
                scope[API_KEY] = self._authenticate(path, headers)
                if "\n" in path:  # a line feed at its end would pass for the path without it
                    raise ApiError(404, "no such path")
                check_length(headers, self._max_body_bytes)
                await self._app(scope, limited(receive, self._max_body_bytes), reply)
            except Exception as error:  # noqa: BLE001  # whatever it is, the client gets a reply
                await reply.fail(_as_api_error(error))
            return
        record = RequestRecord(request_id, endpoint, time.monotonic(), time.time())
        try:
            await self._infer(scope, receive, reply, record, path, headers)
        except asyncio.CancelledError:
            record.status = CLIENT_LEFT
            raise
        except Exception as error:  # noqa: BLE001  # as above
            shown = _as_api_error(error)
            record.error_code = shown.code
            await reply.fail(shown)
        finally:
            self._finish(record, reply)

    async def _infer(
        self,
        scope: Scope,
        receive: Receive,
        reply: Reply,
        record: RequestRecord,
        path: str,
        headers: Mapping[bytes, bytes],
    ) -> None:
        if self._sample_fraction is not None or _TRACEPARENT in headers:
            record.trace = begin_trace(
                _text(headers.get(_TRACEPARENT)),
                _text(headers.get(_TRACESTATE)),
                sample_fraction=self._sample_fraction,
            )
        CURRENT_TRACE.set(record.trace)
        key = self._authenticate(path, headers)
        if key is not None and self._services.keys is not None:
            record.key = key.name
            self._services.keys.count(key)
        check_length(headers, self._max_body_bytes)
        limit_s = min(self._request_timeout_s, _client_timeout_s(headers))
        margin_s = min(_MAX_MARGIN_S, _MARGIN_FRACTION * limit_s)
        scope[EXCHANGE] = Exchange(record, Deadline(limit_s - margin_s), key)
        try:
            # The handler knows more about a timeout: it has half of the margin to report it.
            async with asyncio.timeout(limit_s - margin_s / 2), self._limiter.slot():
                body = await read_body(receive, self._max_body_bytes, self._body_timeout_s)
                if body is None:
                    record.status = CLIENT_LEFT
                else:
                    await self._answer(scope, receive, reply, record, body)
        except TimeoutError:
            raise ApiError(504, f"no complete answer within {limit_s:g} s") from None

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        reply: Reply,
        record: RequestRecord,
        body: bytes,
    ) -> None:
        """Call the routes; cancel them if the client disconnects.

        Serve cancels a request whose client disconnects, unless the client has sent
        ``x-request-disconnect-disabled``; the disconnection itself arrives in either case.
        """
        watch = ClientWatch(receive, reply)
        try:
            await self._app(scope, watch.replay(body), reply)
        except asyncio.CancelledError:
            if not watch.take_back():
                raise
            record.status = CLIENT_LEFT
        finally:
            watch.stop()

    def _authenticate(self, path: str, headers: Mapping[bytes, bytes]) -> ApiKey | None:
        keys = self._services.keys
        if keys is None or path in _OPEN:
            return None
        is_admin_path = path.startswith("/admin/")
        return keys.authenticate(
            _text(headers.get(_AUTHORIZATION)), "admin" if is_admin_path else "client"
        )

    def _finish(self, record: RequestRecord, reply: Reply) -> None:
        record.ended_s = time.monotonic()
        record.status = record.status or reply.status
        if record.error_code is None and record.status == CLIENT_LEFT:
            record.error_code = "client_left"
        for observer in self._services.observers:
            observer.finished(record)


def _as_api_error(error: Exception) -> ApiError:
    """The error that the client sees; an unexpected one is logged by type and traceback.

    Its message is left out of the log too: it may repeat text of the request.
    """
    if isinstance(error, ApiError):
        return error
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected error: %s\n%s", type(error).__name__, frames)
    return ApiError(500, "the server failed on this request")


def _request_id(given: bytes | None) -> str:
    if given is not None and REQUEST_ID.fullmatch(given):
        return given.decode()
    return uuid.uuid4().hex


def _client_timeout_s(headers: Mapping[bytes, bytes]) -> float:
    given = headers.get(_TIMEOUT_S)
    if given is None:
        return math.inf
    seconds = float(given) if _NUMBER.fullmatch(given) else math.nan
    if not MIN_TIMEOUT_S <= seconds <= MAX_TIMEOUT_S:
        raise ApiError(
            400,
            f"{TIMEOUT_S} must be a number of seconds, {MIN_TIMEOUT_S} to {MAX_TIMEOUT_S}",
            param=TIMEOUT_S,
        )
    return seconds


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
