import asyncio
import json

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)

from serve_app.candidates import local
from serve_app.candidates.local import LocalClient
from serve_app.contracts.answers import CandidateFailure

DOCUMENT = {"model": "small", "choices": [{"index": 0, "text": "x"}]}
CHUNK = 'data: {"model":"small","choices":[{"index":0,"finish_reason":null}]}\n\n'
DONE = "data: [DONE]\n\n"
STREAM = {"stream": True}
GONE = DeploymentUnavailableError("candidate-small")
FULL = BackPressureError(num_queued_requests=9, max_queued_requests=9)


class FakeResponse:
    """Yields strings; an exception among them is raised, an awaitable is waited for.

    Cancelling one that has failed raises its exception again, as Ray's own does.
    """

    def __init__(self, *parts):
        self.parts = iter(parts)
        self.cancelled = False
        self.failure = None

    def __aiter__(self):
        return self

    async def __anext__(self):
        part = next(self.parts, StopAsyncIteration())
        if isinstance(part, BaseException):
            self.failure = part
            raise part
        return part if isinstance(part, str) else await part

    def cancel(self):
        if self.failure is not None:
            raise self.failure
        self.cancelled = True


class FakeHandle:
    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = []
        self.answer = self

    def options(self, *, stream):
        assert stream
        return self

    def remote(self, endpoint, body):
        self.requests.append((endpoint, body))
        return self.responses.pop(0)


@pytest.fixture
def serve(monkeypatch):
    """Handles by application name, or the exception that getting one raises."""
    applications = {}

    def get_app_handle(name):
        found = applications.get(name, RayServeException("no such application"))
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(local.serve, "get_app_handle", get_app_handle)
    return applications


@pytest.fixture
def client(serve):
    """A client of candidate ``small`` whose application answers with the given parts."""

    def build(*parts):
        handle = serve["candidate-small"] = FakeHandle(FakeResponse(*parts))
        return (
            LocalClient("small", "candidate-small", engine_name="engine"),
            handle.responses[0],
            handle,
        )

    return build


async def collect(client, body=None, endpoint="chat"):
    answer = await client.open(endpoint, body or {}, timeout_s=5)
    return answer.status, [part.decode() async for part in answer.parts]


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_a_document_comes_from_the_candidates_application(client, endpoint):
    small, response, handle = client("200", json.dumps(DOCUMENT))
    status, (document,) = asyncio.run(collect(small, {"top_k": 1}, endpoint))
    assert (status, json.loads(document)) == (200, DOCUMENT)
    assert handle.requests == [(endpoint, {"top_k": 1, "model": "engine"})]
    assert not response.cancelled


def test_a_stream_comes_event_by_event(client):
    small, response, _handle = client("200", CHUNK, CHUNK, DONE)
    assert asyncio.run(collect(small, STREAM)) == (200, [CHUNK, CHUNK, DONE])
    assert not response.cancelled


@pytest.mark.parametrize("body", [{}, STREAM])
@pytest.mark.parametrize(
    ("parts", "kind", "status"),
    [
        ([FULL], "overloaded", None),
        ([ActorDiedError()], "server_error", None),
        ([RayServeException("gone")], "server_error", None),
        ([GONE], "unreachable", None),
        ([], "server_error", 502),
        (["200", ActorDiedError()], "server_error", None),
        (["200", "no JSON"], "garbage", None),
        (["200"], "garbage", None),
        (["503", '{"error": {"message": "m"}}'], "overloaded", 503),
        (["500", '{"error": {"message": "m"}}'], "server_error", 500),
        (["429", '{"error": {"message": "m"}}'], "rate_limited", 429),
    ],
)
def test_a_candidate_that_cannot_answer_is_a_failure(client, parts, kind, status, body):
    small, _response, _handle = client(*parts)
    with pytest.raises(CandidateFailure) as failure:
        asyncio.run(collect(small, body))
    assert (failure.value.kind, failure.value.status) == (kind, status)


def test_a_truncated_document_is_a_failure_before_anything_is_relayed(client):
    small, _response, _handle = client("200", json.dumps(DOCUMENT)[:9], ActorDiedError())
    with pytest.raises(CandidateFailure, match="server_error"):
        asyncio.run(collect(small))


@pytest.mark.parametrize("body", [{}, STREAM])
def test_a_refusal_is_relayed(client, body):
    refusal = {"error": {"message": "too long", "param": "n", "code": "context_length_exceeded"}}
    small, _response, _handle = client("400", json.dumps(refusal))
    status, (document,) = asyncio.run(collect(small, body))
    assert status == 400
    assert json.loads(document)["error"] == {
        **refusal["error"],
        "type": "invalid_request_error",
    }


def test_a_candidate_that_dies_in_a_stream_is_a_failure_after_the_parts_received(client):
    small, _response, _handle = client("200", CHUNK, ActorDiedError())

    async def take():
        answer = await small.open("chat", STREAM, timeout_s=5)
        assert await anext(answer.parts) == CHUNK.encode()
        with pytest.raises(CandidateFailure, match="server_error"):
            await anext(answer.parts)

    asyncio.run(take())


@pytest.mark.parametrize("num_taken", [0, 1])
def test_closing_the_parts_early_cancels_the_request(client, num_taken):
    small, response, _handle = client("200", CHUNK, CHUNK, DONE)

    async def leave():
        answer = await small.open("chat", STREAM, timeout_s=5)
        for _ in range(num_taken):
            await anext(answer.parts)
        await answer.parts.aclose()
        assert [part async for part in answer.parts] == []

    asyncio.run(leave())
    assert response.cancelled


@pytest.mark.parametrize("body", [{}, STREAM])
@pytest.mark.parametrize("num_parts", [0, 1])
def test_a_cancelled_caller_cancels_the_request(client, num_parts, body):
    async def cancel_while_waiting():
        waiting, never = asyncio.Event(), asyncio.Event()

        async def wait():
            waiting.set()
            await never.wait()

        small, response, _handle = client(*["200"] * num_parts, wait())
        task = asyncio.create_task(collect(small, body))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return response.cancelled

    assert asyncio.run(cancel_while_waiting())


@pytest.mark.parametrize("num_parts", [0, 1])
def test_a_candidate_that_hangs_is_cancelled_at_the_limit(client, num_parts):
    async def wait_too_long():
        small, response, _handle = client(*["200"] * num_parts, asyncio.Event().wait())
        with pytest.raises(CandidateFailure, match="timeout"):
            await small.open("chat", {}, timeout_s=0.3)
        return response.cancelled

    assert asyncio.run(wait_too_long())


@pytest.mark.parametrize("num_parts", [0, 1])
def test_no_request_waits_for_a_candidate_that_is_given_up(client, num_parts):
    async def give_up_while_waiting():
        small, response, _handle = client(*["200"] * num_parts, asyncio.Event().wait())
        waiting = asyncio.create_task(small.open("chat", {}, timeout_s=3600))
        await asyncio.sleep(0.05)  # until a thread gets the handle from Ray
        small.count_replicas(0)
        with pytest.raises(CandidateFailure, match="unreachable"):
            await waiting
        return response.cancelled

    assert asyncio.run(give_up_while_waiting())


def test_giving_up_does_not_affect_started_answers_and_later_requests(client, serve):
    async def give_up_between():
        small, _response, handle = client("200", CHUNK, CHUNK, DONE)
        handle.responses.append(FakeResponse("200", json.dumps(DOCUMENT)))
        answer = await small.open("chat", STREAM, timeout_s=5)
        small.count_replicas(0)
        assert len([part async for part in answer.parts]) == 3
        assert (await collect(small))[0] == 200

    asyncio.run(give_up_between())


def test_an_application_that_does_not_run_yet_is_asked_for_again(serve):
    small = LocalClient("small", "candidate-small", engine_name="engine")
    with pytest.raises(CandidateFailure, match="unreachable"):
        asyncio.run(collect(small))
    serve["candidate-small"] = FakeHandle(FakeResponse("200", json.dumps(DOCUMENT)))
    assert asyncio.run(collect(small))[0] == 200


def test_an_application_deployed_again_is_found_within_the_request(client, serve):
    small, _response, old = client("200", json.dumps(DOCUMENT))
    assert asyncio.run(collect(small))[0] == 200
    old.responses = [FakeResponse(GONE)]
    serve["candidate-small"] = FakeHandle(FakeResponse("200", json.dumps(DOCUMENT)))
    assert asyncio.run(collect(small))[0] == 200


def test_an_application_that_was_deleted_is_unreachable_until_it_is_back(client, serve):
    small, _response, old = client("200", json.dumps(DOCUMENT))
    assert asyncio.run(collect(small))[0] == 200
    old.responses = [FakeResponse(GONE)]
    del serve["candidate-small"]
    with pytest.raises(CandidateFailure, match="unreachable"):
        asyncio.run(collect(small))
    serve["candidate-small"] = FakeHandle(FakeResponse("200", json.dumps(DOCUMENT)))
    assert asyncio.run(collect(small))[0] == 200
