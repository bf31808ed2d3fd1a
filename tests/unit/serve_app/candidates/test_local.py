import asyncio
import json

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError, RayServeException

from serve_app import candidate_client
from serve_app.candidates.local import CandidateClient
from serve_app.api.errors import ApiError


class FakeResponse:
    """Yields strings; an exception among them is raised, an awaitable is waited for."""

    def __init__(self, *parts):
        self.parts = iter(parts)
        self.cancelled = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        part = next(self.parts, StopAsyncIteration())
        if isinstance(part, BaseException):
            raise part
        return part if isinstance(part, str) else await part

    def cancel(self):
        self.cancelled = True


class FakeHandle:
    def __init__(self, response):
        self.response = response
        self.bodies = []
        self.answer_chat = self

    def options(self, *, stream):
        assert stream
        return self

    def remote(self, body):
        self.bodies.append(body)
        return self.response


@pytest.fixture
def client(monkeypatch):
    """A client of candidate ``small`` whose application answers with the given parts."""

    def build(*parts):
        handle = FakeHandle(FakeResponse(*parts))
        applications = {"candidate-small": handle}
        monkeypatch.setattr(candidate_client.serve, "get_app_handle", applications.__getitem__)
        return CandidateClient({"small": "candidate-small"}), handle

    return build


async def collect(client, body=None):
    answer = await client.open_chat("small", body or {})
    return answer.status, [part async for part in answer.parts]


def test_status_and_parts_come_from_the_candidates_application(client):
    candidates, handle = client("200", "a", "b")
    assert asyncio.run(collect(candidates, {"top_k": 1})) == (200, ["a", "b"])
    assert handle.bodies == [{"top_k": 1}]
    assert not handle.response.cancelled


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (BackPressureError(num_queued_requests=9, max_queued_requests=9), "queue.*full"),
        (ActorDiedError(), "failed"),
        (RayServeException("gone"), "failed"),
        (StopAsyncIteration(), "failed"),
    ],
)
def test_a_candidate_that_cannot_answer_is_a_503(client, first, why):
    candidates, _handle = client(first)
    with pytest.raises(ApiError, match=why) as refused:
        asyncio.run(collect(candidates))
    assert refused.value.status == 503
    assert refused.value.headers == {"Retry-After": "1"}


def test_a_candidate_that_dies_while_answering_ends_the_stream_with_an_error(client):
    candidates, _handle = client("200", "data: {}\n\n", ActorDiedError())
    status, (first, last) = asyncio.run(collect(candidates))
    assert (status, first) == (200, "data: {}\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model_failed"


def test_closing_the_parts_early_cancels_the_request(client):
    candidates, handle = client("200", "a", "b")

    async def leave():
        answer = await candidates.open_chat("small", {})
        assert await anext(answer.parts) == "a"
        await answer.parts.aclose()

    asyncio.run(leave())
    assert handle.response.cancelled


@pytest.mark.parametrize("num_parts", [0, 1])
def test_a_cancelled_caller_cancels_the_request(client, num_parts):
    async def cancel_while_waiting():
        blocked = asyncio.Event()
        candidates, handle = client(*["200"] * num_parts, blocked.wait())
        task = asyncio.create_task(collect(candidates))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return handle.response.cancelled

    assert asyncio.run(cancel_while_waiting())


def test_an_application_that_is_not_running_yet_is_asked_for_again(monkeypatch):
    handle = FakeHandle(FakeResponse("200", "a"))
    results = [RayServeException("no such application"), handle]

    def get_app_handle(name):
        assert name == "candidate-small"
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(candidate_client.serve, "get_app_handle", get_app_handle)
    candidates = CandidateClient({"small": "candidate-small"})
    with pytest.raises(ApiError, match="not running"):
        asyncio.run(collect(candidates))
    assert asyncio.run(collect(candidates)) == (200, ["a"])
