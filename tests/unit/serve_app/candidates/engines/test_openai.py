import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from modelsat.errors import ZooError
from serve_app.candidates.engines import openai
from serve_app.contracts.answers import CandidateFailure
from serve_app.contracts.headers import CANDIDATE_REQUEST_HEADERS
from tests.support.serve_app.raw_upstream import (
    CHAT,
    STREAM,
    ask,
    candidate,
    client_of,
    raw_server,
)
from tests.support.upstream import running_upstream

pytestmark = pytest.mark.usefixtures("loopback")

BODIES = {
    "chat": CHAT,
    "completions": {"model": "auto", "prompt": "how tall"},
    "embeddings": {"model": "auto", "input": ["how", "tall"]},
}
GARBAGE = ("not_json", "html", "truncated", "wrong_types", "empty")


@pytest.fixture(scope="module")
def shared_upstream():
    with running_upstream() as running:
        yield running


@pytest.fixture
def upstream(shared_upstream):
    shared_upstream.behave()
    shared_upstream.requests.clear()
    return shared_upstream


def answer_of(*args, **kwargs):
    return asyncio.run(ask(*args, **kwargs))


def failure_of(*args, **kwargs):
    with pytest.raises(CandidateFailure) as failure:
        answer_of(*args, **kwargs)
    return failure.value


async def eventually(holds):
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("endpoint", BODIES)
def test_the_upstream_sees_its_own_model_and_the_client_the_candidate(upstream, endpoint):
    body = {**BODIES[endpoint], "unknown": {"kept": [1, None]}}
    status, (document,), facts = answer_of(upstream.url, body, endpoint)
    assert status == 200
    assert json.loads(document)["model"] == "org/giraffe"
    assert facts.prompt_tokens == json.loads(document)["usage"]["prompt_tokens"]
    [(path, _headers, seen)] = upstream.requests
    assert path == f"/v1/{'chat/completions' if endpoint == 'chat' else endpoint}"
    assert seen == {**body, "model": "m-1"}


def test_a_stream_names_the_candidate_in_every_chunk_and_ends_with_done(upstream):
    status, parts, facts = answer_of(upstream.url, STREAM)
    *chunks, done, rest = b"".join(parts).decode().split("\n\n")
    documents = [json.loads(event.removeprefix("data: ")) for event in chunks]
    assert (status, done, rest) == (200, "data: [DONE]", "")
    assert {document["model"] for document in documents} == {"org/giraffe"}
    assert facts.completion_tokens == documents[-1]["usage"]["completion_tokens"] == 8


def test_only_documented_headers_are_sent(upstream, monkeypatch):
    monkeypatch.setenv("GIRAFFE_KEY", "sk-1")
    answer_of(upstream.url, api_key_env="GIRAFFE_KEY")
    [(_path, headers, _body)] = upstream.requests
    assert headers.pop("Authorization") == "Bearer sk-1"
    assert {"Authorization", "traceparent", "tracestate", *headers} == set(
        CANDIDATE_REQUEST_HEADERS
    )
    assert headers["User-Agent"] == "model-sat"


def test_no_key_is_sent_where_the_zoo_names_none(upstream):
    answer_of(upstream.url)
    assert "Authorization" not in upstream.requests[0][1]


@pytest.mark.parametrize("value", [None, "", "sk-1\nX: y", "sk 1", "schl\u00fcssel"])
def test_the_error_about_an_invalid_key_names_its_variable(monkeypatch, value):
    monkeypatch.delenv("GIRAFFE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("GIRAFFE_KEY", value)
    with pytest.raises(ZooError, match=r"org/giraffe.*GIRAFFE_KEY") as error:
        candidate("http://127.0.0.1/v1", api_key_env="GIRAFFE_KEY").read_api_key()
    assert not value or value not in str(error.value)


def test_proxies_of_the_environment_are_not_used(upstream, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert answer_of(upstream.url)[0] == 200


def test_cookies_are_not_sent_back():
    heads = []
    head = b"HTTP/1.1 400 T\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def ask_twice(url):
        async with client_of(url) as client:
            for _ in range(2):
                await client.open("chat", CHAT, timeout_s=5)

    async def run():
        async with raw_server(head, heads=heads) as url:
            # A cookie jar stores no cookies of IP addresses.
            await ask_twice(url.replace("127.0.0.1", "localhost"))

    asyncio.run(run())
    assert len(heads) == 2
    assert b"a=b" not in heads[1]


def test_redirections_are_not_followed(upstream):
    async def run():
        head = f"HTTP/1.1 307 T\r\nLocation: {upstream.url}/chat/completions\r\n"
        async with raw_server(head.encode() + b"Content-Length: 0\r\n\r\n") as url:
            await ask(url)

    with pytest.raises(CandidateFailure, match="garbage"):
        asyncio.run(run())
    assert not upstream.requests


@pytest.mark.parametrize("body", [CHAT, STREAM])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, "timeout"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "timeout"),
        (529, "overloaded"),
        (204, "garbage"),
        (302, "garbage"),
    ],
)
def test_statuses_that_are_retried_on_another_candidate(upstream, status, kind, body):
    upstream.behave(status=status, retry_after_s=7)
    failure = failure_of(upstream.url, body)
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.retry_after_s == 7


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0, 0),
        ("2.5", 2.5, 2.5),
        ("-3", 0, 0),
        (timedelta(hours=1), 3000, 3600),
        (timedelta(hours=-1), 0, 0),
    ],
    ids=["now", "seconds", "negative", "in an hour", "an hour ago"],
)
def test_retry_after_is_seconds_or_a_date(header, least, most):
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(UTC) + header, usegmt=True)
    head = f"HTTP/1.1 429 T\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n"

    async def run():
        async with raw_server(head.encode()) as url:
            await ask(url)

    with pytest.raises(CandidateFailure) as failure:
        asyncio.run(run())
    assert least <= failure.value.retry_after_s <= most


@pytest.mark.parametrize("header", ["soon", "nan", "inf", "", "1 1"])
def test_a_malformed_retry_after_is_ignored(header):
    assert openai.failure_of(429, header).retry_after_s is None


@pytest.mark.parametrize("body", [CHAT, STREAM])
@pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
def test_other_refusals_are_answers(upstream, status, body):
    upstream.behave(status=status)
    answered, (document,), _facts = answer_of(upstream.url, body)
    error = json.loads(document)["error"]
    assert answered == status
    assert error["message"] == f"the fake upstream answers {status}"
    assert set(error) == {"message", "type", "param", "code"}


def test_the_code_of_a_refusal_is_kept(upstream):
    upstream.behave(fault="context_length")
    status, (document,), _facts = answer_of(upstream.url)
    error = json.loads(document)["error"]
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")


def raw_refusal(content, status=400):
    head = f"HTTP/1.1 {status} T\r\nContent-Length: {len(content)}\r\n\r\n"

    async def run():
        async with raw_server(head.encode() + content) as url:
            return await ask(url, api_key_env="GIRAFFE_KEY")

    return asyncio.run(run())[:2]


@pytest.mark.parametrize(
    "content",
    [
        b'{"error": {"message": "cannot do how tall is a giraffe", "code": "bad"}}',
        b'{"error": {"message": "bad", "code": "how tall is a giraffe", "param": "giraffes"}}',
        b'{"error": {"message": "key sk-secret is odd"}}',
        b'{"error": {"message": "m", "param": "sk-secret", "code": "sk-secret"}}',
        b'{"message": "how tall is a giraffe"}',
        b'"how tall is a giraffe"',
        b"<p>how tall is a giraffe, sk-secret</p>",
        b'{"error": 7}',
        b"\xff",
        b"[" * 100_000,
        b"",
    ],
)
def test_a_refusal_repeats_neither_the_request_nor_the_key(monkeypatch, content):
    monkeypatch.setenv("GIRAFFE_KEY", "sk-secret")
    status, (document,) = raw_refusal(content)
    assert status == 400
    assert json.loads(document)["error"]["message"]
    assert b"how tall" not in document
    assert b"sk-secret" not in document


def test_a_code_that_repeats_the_request_is_not_kept(monkeypatch):
    monkeypatch.setenv("GIRAFFE_KEY", "sk-secret")
    status, (document,) = raw_refusal(b'{"error": {"message": "m", "code": "bad-user"}}')
    assert status == 400
    assert json.loads(document)["error"]["code"] == "invalid_parameter"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_have_a_message_of_their_own(monkeypatch, status):
    monkeypatch.setenv("GIRAFFE_KEY", "sk-secret")
    answered, (document,) = raw_refusal(b'{"error": {"message": "key sk-***ret"}}', status)
    error = json.loads(document)["error"]
    assert (answered, error["code"]) == (status, "upstream_authentication")
    assert error["message"] == (
        "the provider of model 'org/giraffe' refused the server's credentials"
    )


@pytest.mark.parametrize("body", [CHAT, STREAM])
@pytest.mark.parametrize("fault", GARBAGE)
def test_a_response_of_another_kind_is_malformed(upstream, fault, body):
    upstream.behave(fault=fault)
    assert failure_of(upstream.url, body).kind == "garbage"


def test_a_response_that_is_not_http_is_malformed():
    async def run():
        async with raw_server(b"SSH-2.0-OpenSSH\r\n\r\n") as url:
            await ask(url)

    with pytest.raises(CandidateFailure, match="garbage"):
        asyncio.run(run())


@pytest.mark.parametrize("limit", ["_MAX_ANSWER_BYTES", "_MAX_ERROR_BYTES"])
def test_an_endless_response_is_malformed(upstream, monkeypatch, limit):
    monkeypatch.setattr(openai, limit, 10)
    upstream.behave(fault="context_length" if limit == "_MAX_ERROR_BYTES" else None)
    assert failure_of(upstream.url).kind == "garbage"


def test_a_closed_port_is_unreachable(unused_tcp_port_url):
    assert failure_of(unused_tcp_port_url).kind == "unreachable"


@pytest.fixture
def unused_tcp_port_url():
    async def run():
        async with raw_server() as url:
            return url

    return asyncio.run(run())


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_a_connection_closed_before_an_answer_is_unreachable(body):
    async def run():
        async with raw_server() as url:
            await ask(url, body)

    with pytest.raises(CandidateFailure, match="unreachable"):
        asyncio.run(run())


def test_a_truncated_document_is_a_failure(upstream):
    upstream.behave(fault="close")
    assert failure_of(upstream.url).kind == "unreachable"


@pytest.mark.parametrize("body", [CHAT, STREAM])
@pytest.mark.parametrize("fault", ["silence", "stall"])
def test_a_hanging_upstream_is_cancelled_at_the_limit(upstream, fault, body):
    upstream.behave(fault=fault)
    before = upstream.num_cancelled

    async def run():
        async with client_of(upstream.url) as client:
            with pytest.raises(CandidateFailure, match="timeout"):
                await client.open("chat", body, timeout_s=0.5)
            await eventually(lambda: upstream.num_cancelled == before + 1)

    asyncio.run(run())


@pytest.mark.parametrize("num_taken", [0, 1])
def test_closing_a_stream_early_closes_its_connection(upstream, num_taken):
    upstream.behave(tokens_per_s=20)
    before = upstream.num_cancelled

    async def run():
        async with client_of(upstream.url) as client:
            answer = await client.open("chat", STREAM, timeout_s=5)
            for _ in range(num_taken):
                await anext(answer.parts)
            await answer.parts.aclose()
            await eventually(lambda: upstream.num_cancelled == before + 1)
            assert [part async for part in answer.parts] == []

    asyncio.run(run())


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_a_cancelled_caller_closes_the_connection(upstream, body):
    upstream.behave(fault="silence")
    before, asked = upstream.num_cancelled, sum(upstream.num_requests.values())

    async def run():
        async with client_of(upstream.url) as client:
            task = asyncio.create_task(client.open("chat", body, timeout_s=5))
            await eventually(lambda: sum(upstream.num_requests.values()) > asked)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await eventually(lambda: upstream.num_cancelled == before + 1)

    asyncio.run(run())


def test_one_connection_serves_one_request_after_another(upstream):
    async def run():
        async with client_of(upstream.url) as client:
            for body in (CHAT, STREAM, STREAM, CHAT):
                answer = await client.open("chat", body, timeout_s=5)
                assert [part async for part in answer.parts]
            upstream.behave(status=400)
            for body in (CHAT, STREAM):
                await client.open("chat", body, timeout_s=5)
            return upstream.num_connections

    before = upstream.num_connections
    assert asyncio.run(run()) - before <= 1
