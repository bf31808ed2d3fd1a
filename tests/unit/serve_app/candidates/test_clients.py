"""Which candidates can get requests, by their running replicas."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from serve_app.candidates import local
from serve_app.candidates.clients import CandidateClients
from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth
from serve_app.config import FallbackOptions
from serve_app.contracts.answers import CandidateFailure, Deadline, DispatchError
from tests.support.serve_app.zoos import local_entry, remote_entry, zoo
from tests.support.upstream import running_upstream

MESSAGES = [{"role": "user", "content": "Hi"}]
ZERO = {"min_replicas": 0, "max_replicas": 2}
ZOO = zoo(local_entry("steady"), local_entry("elastic", autoscaling_config=ZERO), remote_entry("r"))


@asynccontextmanager
async def following(served=ZOO):
    clients = CandidateClients(max_connections=4, connect_timeout_s=5)
    clients.follow(served)
    try:
        yield clients
    finally:
        await clients.close()


def askable(clients):
    return {name for name in ZOO.names if clients.get(name) is not None}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, {"steady", "elastic", "r"}),
        ({"steady": 1, "elastic": 0}, {"steady", "elastic", "r"}),
        ({"steady": 0, "elastic": 1}, {"elastic", "r"}),
    ],
)
def test_without_a_replica_only_candidates_that_scale_to_zero_are_tried(counts, expected):
    async def scene():
        async with following() as clients:
            clients.count(counts)
            assert askable(clients) == expected
            clients.follow(zoo(local_entry("other")))
            clients.follow(ZOO)  # new clients, with the same replica counts
            assert askable(clients) == expected
            clients.count({"steady": 1, "elastic": 1})
            assert askable(clients) == {"steady", "elastic", "r"}

    asyncio.run(scene())


def test_a_chat_request_carries_the_settings_of_its_candidate_unless_the_client_sets_them(loopback):
    generation = {"temperature": 0.6, "reasoning_effort": "low"}

    async def scene(upstream):
        served = zoo({**remote_entry("r"), "base_url": upstream.url, "generation": generation})
        async with following(served) as clients:
            for endpoint, body in (
                ("chat", {"messages": MESSAGES}),
                ("chat", {"messages": MESSAGES, "temperature": 0.1}),
                ("completions", {"prompt": "Hi"}),
            ):
                answer = await clients.get("r").open(endpoint, body, timeout_s=10)
                await answer.parts.aclose()

    with running_upstream() as upstream:
        asyncio.run(scene(upstream))
        bodies = [body for _, _, body in upstream.requests]
    assert [(b.get("temperature"), b.get("reasoning_effort")) for b in bodies] == [
        (0.6, "low"),
        (0.1, "low"),
        (None, None),
    ]


def test_a_candidate_without_a_replica_costs_no_attempt_and_no_health():
    async def scene():
        async with following() as clients:
            clients.count({"steady": 0})
            health = CandidateHealth(FallbackOptions())
            dispatcher = Dispatcher(clients, health, FallbackOptions())
            for _ in range(5):
                with pytest.raises(DispatchError) as refused:
                    await dispatcher.send(
                        ["steady"], "chat", {}, stream=False, deadline=Deadline(60)
                    )
                assert (refused.value.status, refused.value.attempts) == (503, ())
            assert health.begin("steady") is not None

    asyncio.run(scene())


def test_requests_waiting_for_a_dead_last_replica_are_released(monkeypatch):
    """Requests to a candidate that scales to zero keep waiting: they start a replica."""

    class NoReplica:
        def options(self, **_options):
            return self

        @property
        def answer(self):
            return self

        def remote(self, *_arguments):
            return self

        async def __anext__(self):
            await asyncio.Event().wait()

        def cancel(self):
            pass

    async def scene():
        async with following() as clients:
            found = asyncio.Semaphore(0)
            loop = asyncio.get_running_loop()

            def get_app_handle(_name):
                loop.call_soon_threadsafe(found.release)
                return NoReplica()

            monkeypatch.setattr(local.serve, "get_app_handle", get_app_handle)
            steady, elastic = (
                asyncio.create_task(clients.get(name).open("chat", {}, timeout_s=3600))
                for name in ("steady", "elastic")
            )
            for _ in range(2):
                await found.acquire()
            clients.count({"steady": 0, "elastic": 0})
            with pytest.raises(CandidateFailure, match="unreachable"):
                await steady
            assert not elastic.done()
            elastic.cancel()

    asyncio.run(scene())
