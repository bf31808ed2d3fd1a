import asyncio
import json

import pytest

from serve_app.api.outermost import layers


def call(app, headers=(), path="/v1/chat/completions", kind="http"):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    [layer] = layers()
    wrapped = layer.cls(app, *layer.args, **layer.kwargs)
    scope = {"type": kind, "path": path, "headers": list(headers)}
    asyncio.run(wrapped(scope, receive, send))
    return sent


def answering(status, content_type, *bodies, headers=()):
    async def app(scope, receive, send):
        headers_sent = [(b"content-type", content_type), *headers]
        await send({"type": "http.response.start", "status": status, "headers": headers_sent})
        for place, body in enumerate(bodies, start=1):
            more = place < len(bodies)
            await send({"type": "http.response.body", "body": body, "more_body": more})

    return app


def headers_seen(headers):
    seen = []

    async def app(scope, receive, send):
        seen.extend(scope["headers"])
        await answering(200, b"application/json", b"{}")(scope, receive, send)

    call(app, headers)
    return seen


def error_of(sent):
    assert dict(sent[0]["headers"])[b"content-type"] == b"application/json"
    return sent[0]["status"], json.loads(b"".join(m["body"] for m in sent[1:]))["error"]


def test_ray_loads_the_middleware_by_its_import_path():
    from ray.serve._private.http_util import validate_http_proxy_callback_return
    from ray.serve._private.utils import call_function_from_import_path

    loaded = call_function_from_import_path("serve_app.api.outermost:layers")
    assert validate_http_proxy_callback_return(loaded)


def test_successful_responses_are_not_changed():
    for status, content_type in ((200, b"application/json"), (400, b"application/json")):
        app = answering(status, content_type, b"{", b"}")
        sent = call(app)
        assert [message.get("body") for message in sent] == [None, b"{", b"}"]
        assert sent[0]["status"] == status


@pytest.mark.parametrize(
    ("status", "kind", "retries"),
    [
        (404, "invalid_request_error", False),
        (408, "timeout", False),
        (429, "rate_limit_error", True),
        (500, "server_error", False),
        (503, "service_unavailable", True),
    ],
)
def test_rays_own_errors_get_openais_shape(status, kind, retries):
    headers = [(b"x-request-id", b"me"), (b"content-length", b"14")]
    app = answering(status, b"text/plain; charset=utf-8", b"Request", b"dropped", headers=headers)
    sent = call(app)
    sent_status, error = error_of(sent)
    assert (sent_status, error["type"]) == (status, kind)
    assert "dropped" not in str(sent)
    assert [value for name, value in sent[0]["headers"] if name == b"x-request-id"] == [b"me"]
    assert (b"retry-after", b"1") in sent[0]["headers"] or not retries


def test_a_replica_that_dies_before_its_response_is_503():
    async def silent(scope, receive, send):
        pass

    async def failing(scope, receive, send):
        raise RuntimeError("actor died")

    for app in (silent, failing):
        sent = call(app)
        status, error = error_of(sent)
        assert (status, error["code"]) == (503, "lost")
        assert (b"retry-after", b"1") in sent[0]["headers"]


def test_a_stream_whose_replica_dies_ends_with_an_error_event():
    async def app(scope, receive, send):
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

    *_, last = call(app)
    assert last["more_body"] is False
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["code"] == "lost"


@pytest.mark.parametrize("path", ["/-/healthz", "/other", "/"])
def test_other_paths_are_not_changed(path):
    sent = call(answering(503, b"text/plain", b"busy"), path=path)
    assert [message.get("body") for message in sent] == [None, b"busy"]


def test_headers_that_control_ray_are_removed_and_others_stay():
    kept = [(b"authorization", b"Bearer x"), (b"x-session-id", "caf\u00e9".encode())]
    dropped = [
        (b"x-request-disconnect-disabled", b"?1"),
        (b"serve_multiplexed_model_id", b"m"),
        (b"x-request-id", b"x" * 129),
        (b"x-request-id", b"\xff"),
    ]
    assert headers_seen([*kept, *dropped]) == kept
    assert headers_seen([(b"x-request-id", b"mine")]) == [(b"x-request-id", b"mine")]


def test_headers_that_are_not_utf8_are_converted():
    [(_, value)] = headers_seen([(b"x-request-timeout-seconds", b"5\xff")])
    assert value.decode() == "5\u00ff"
