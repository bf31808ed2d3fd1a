"""The path from a ranking to an answer over real connections to faulty servers."""

import asyncio
import json
from contextlib import ExitStack, asynccontextmanager

import pytest

from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.candidates.clients import CandidateClients
from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth
from serve_app.config import FallbackOptions
from serve_app.contracts.answers import Deadline, DispatchError
from tests.support.upstream import running_upstream

pytestmark = pytest.mark.usefixtures("loopback")

NAMES = ("first", "second")
BODY = {"model": "auto", "messages": [{"role": "user", "content": "how tall is a giraffe"}]}
OPTIONS = FallbackOptions()
HASTY = FallbackOptions(attempt_timeout_s=0.8, answer_timeout_s=0.8, stream_idle_timeout_s=0.5)
BOTH_WAYS = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(scope="module")
def shared_upstreams():
    with ExitStack() as stack:
        yield {name: stack.enter_context(running_upstream(name)) for name in NAMES}


@pytest.fixture
def upstreams(shared_upstreams):
    for upstream in shared_upstreams.values():
        upstream.behave()
        upstream.num_requests.clear()
    return shared_upstreams


def remote(name, upstream, model="m"):
    return OpenAICandidate(
        name=name, engine="openai", base_url=upstream.url, model=model, context_window=9
    )


@asynccontextmanager
async def dispatching(upstreams, options=OPTIONS):
    clients = CandidateClients(max_connections=64, connect_timeout_s=5)
    candidates = [remote(name, upstream) for name, upstream in upstreams.items()]
    clients.follow(Zoo(version=1, candidates=candidates))
    try:
        yield Dispatcher(clients, CandidateHealth(options), options)
    finally:
        await clients.close()


async def send(dispatcher, *, stream=False, ranking=NAMES, limit_s=10):
    body = {**BODY, "stream": stream}
    return await dispatcher.send(ranking, "chat", body, stream=stream, deadline=Deadline(limit_s))


async def read(sent):
    return b"".join([part async for part in sent.answer.parts])


def answered(upstreams, options=OPTIONS, **kwargs):
    """The attempts and their outcomes, status and body."""

    async def run():
        async with dispatching(upstreams, options) as dispatcher:
            sent = await send(dispatcher, **kwargs)
            attempts = [(attempt.candidate, attempt.outcome) for attempt in sent.attempts]
            return attempts, sent.answer.status, await read(sent)

    return asyncio.run(run())


def num_asked(upstream):
    return sum(upstream.num_requests.values())


async def eventually(holds):
    async with asyncio.timeout(2):
        while not holds():
            await asyncio.sleep(0.005)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        ({"status": 408}, "timeout"),
        ({"status": 429}, "rate_limited"),
        ({"status": 500}, "server_error"),
        ({"status": 503}, "overloaded"),
        ({"fault": "silence"}, "timeout"),
        ({"fault": "stall"}, "timeout"),
        ({"fault": "close"}, "unreachable"),
        ({"fault": "not_json"}, "garbage"),
        ({"fault": "html"}, "garbage"),
        ({"fault": "truncated"}, "garbage"),
        ({"fault": "wrong_types"}, "garbage"),
        ({"fault": "empty"}, "garbage"),
    ],
)
def test_a_failure_before_the_first_byte_is_retried_on_the_next_candidate(
    upstreams, trouble, outcome, stream
):
    upstreams["first"].behave(**trouble)
    hangs = trouble.get("fault") in ("silence", "stall")
    attempts, status, body = answered(upstreams, HASTY if hangs else OPTIONS, stream=stream)
    assert attempts == [("first", outcome), ("second", "answered")]
    assert status == 200
    assert b"second-0" in body
    assert b"first" not in body
    assert num_asked(upstreams["first"]) == 1


@BOTH_WAYS
@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        ({"status": 400}, 400),
        ({"status": 401}, 401),
        ({"fault": "context_length"}, 400),
    ],
)
def test_a_refusal_is_relayed_and_not_retried(upstreams, trouble, status, stream):
    upstreams["first"].behave(**trouble)
    attempts, answered_status, body = answered(upstreams, stream=stream)
    assert (attempts, answered_status) == ([("first", "refused")], status)
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert num_asked(upstreams["second"]) == 0


@BOTH_WAYS
def test_no_request_fails_because_one_candidate_is_down(upstreams, stream):
    async def run():
        with running_upstream("gone") as gone:
            pass
        async with dispatching({"gone": gone, **upstreams}) as dispatcher:
            for _ in range(20):
                sent = await send(dispatcher, stream=stream, ranking=("gone", *NAMES))
                assert sent.candidate == "first"
                await read(sent)

    asyncio.run(run())
    assert num_asked(upstreams["first"]) == 20


def test_a_hanging_candidate_is_cancelled_at_the_deadline(upstreams):
    for upstream in upstreams.values():
        upstream.behave(fault="silence")

    async def run():
        before = sum(upstream.num_connections for upstream in upstreams.values())
        async with dispatching(upstreams) as dispatcher:
            with pytest.raises(DispatchError) as error:
                await send(dispatcher, limit_s=0.3)
            assert error.value.status == 504
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await eventually(lambda: sum(u.num_connections for u in upstreams.values()) <= before)

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["close", "stall", "truncated"])
def test_a_failure_after_the_first_byte_ends_the_stream_with_an_error_event(upstreams, fault):
    upstreams["first"].behave(fault=fault, after_chunks=3)
    attempts, status, body = answered(upstreams, HASTY, stream=True)
    *chunks, error, rest = body.split(b"\n\n")
    assert (attempts, status, rest) == ([("first", "answered")], 200, b"")
    assert json.loads(error[6:])["error"]["message"]
    assert all(json.loads(chunk[6:])["model"] == "first" for chunk in chunks)
    assert len(chunks) == 3
    assert num_asked(upstreams["second"]) == 0


def test_disconnected_clients_close_their_upstream_connections(upstreams):
    first = upstreams["first"]
    first.behave(tokens_per_s=100, num_tokens=1000)
    before = first.num_cancelled

    async def leave(dispatcher):
        sent = await send(dispatcher, stream=True, ranking=("first",))
        for _ in range(3):
            await anext(sent.answer.parts)
        await sent.answer.parts.aclose()

    async def run():
        async with dispatching(upstreams) as dispatcher:
            await asyncio.gather(*[leave(dispatcher) for _ in range(50)])
            await eventually(lambda: first.num_cancelled == before + 50)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            first.behave()
            assert (await send(dispatcher, ranking=("first",))).answer.status == 200

    asyncio.run(run())


@BOTH_WAYS
def test_all_down_then_back(upstreams, stream):
    options = OPTIONS.model_copy(update={"cooldown_s": 0.05, "max_cooldown_s": 0.05})

    async def run():
        async with dispatching(upstreams, options) as dispatcher:
            for upstream in upstreams.values():
                upstream.behave(status=503)
            for _ in range(5):
                with pytest.raises(DispatchError) as error:
                    await send(dispatcher, stream=stream)
                assert error.value.status == 503
                assert error.value.retry_after_s == 1
            for upstream in upstreams.values():
                upstream.behave()
            await asyncio.sleep(options.cooldown_s)
            for _ in range(3):
                sent = await send(dispatcher, stream=stream)
                assert sent.candidate == "first"
                await read(sent)

    asyncio.run(run())


def test_clients_follow_the_zoo(upstreams):
    first, second = upstreams.values()

    async def run():
        clients = CandidateClients(max_connections=64, connect_timeout_s=5)
        dispatcher = Dispatcher(clients, CandidateHealth(OPTIONS), OPTIONS)
        both = [remote("first", first), remote("second", second)]
        assert clients.follow(Zoo(version=1, candidates=both)) == ()
        assert clients.follow(Zoo(version=1, candidates=both)) == ("first", "second")
        changed = Zoo(version=1, candidates=[remote("second", second, model="other")])
        assert clients.follow(changed) == ()
        sent = await send(dispatcher)
        assert [attempt.candidate for attempt in sent.attempts] == ["second"]
        await clients.close()

    asyncio.run(run())
    assert second.requests[-1][2]["model"] == "other"
    assert num_asked(first) == 0


def test_a_candidate_without_its_key_is_skipped(upstreams, monkeypatch):
    monkeypatch.delenv("GIRAFFE_KEY", raising=False)
    first, second = upstreams.values()
    locked = remote("first", first).model_copy(update={"api_key_env": "GIRAFFE_KEY"})

    async def run():
        clients = CandidateClients(max_connections=64, connect_timeout_s=5)
        clients.follow(Zoo(version=1, candidates=[locked, remote("second", second)]))
        dispatcher = Dispatcher(clients, CandidateHealth(OPTIONS), OPTIONS)
        assert (await send(dispatcher)).candidate == "second"
        await clients.close()

    asyncio.run(run())
    assert num_asked(first) == 0
