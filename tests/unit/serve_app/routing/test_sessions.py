import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import MachineError
from serve_app.config import SessionOptions
from serve_app.routing.sessions import SessionClient, SessionStore
from tests.support.serve_app.small_zoo import Clock

TTL_S, MOST = 10, 3
STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "put"]), st.sampled_from("abcde"))
    | st.tuples(st.just("wait"), st.sampled_from([1, 4, 11])),
    max_size=30,
)


@given(STEPS)
def test_the_store_agrees_with_a_plain_list(steps):
    clock = Clock()
    store = SessionStore(TTL_S, MOST, clock)
    model = []  # (session, candidate, moment of its last use), the longest unused first
    for number, (what, which) in enumerate(steps):
        if what == "wait":
            clock.now_s += which
            continue
        model = [entry for entry in model if clock.now_s - entry[2] < TTL_S]
        held = {session: candidate for session, candidate, _ in model}
        if what == "get":
            assert store.get(which) == held.get(which)
        candidate = held.get(which) if what == "get" else str(number)
        if candidate is not None:
            if what == "put":
                store.put(which, candidate)
            model = [entry for entry in model if entry[0] != which]
            model = [*model, (which, candidate, clock.now_s)][-MOST:]
        assert len(store) <= MOST


def filled(clock):
    store = SessionStore(TTL_S, MOST, clock)
    for session in "abc":
        store.put(session, session.upper())
    return store


def test_the_least_recently_used_session_is_evicted_first():
    store = filled(Clock())
    assert store.get("a") == "A"
    store.put("d", "D")
    assert [store.get(session) for session in "abcd"] == ["A", None, "C", "D"]


def test_use_prolongs_a_session_and_time_ends_it():
    clock = Clock()
    store = filled(clock)
    clock.now_s += TTL_S - 1
    store.get("a")
    clock.now_s += TTL_S - 1
    assert [store.get(session) for session in "ab"] == ["A", None]
    clock.now_s += TTL_S
    store.put("d", "D")
    assert len(store) == 1


class FakeStore:
    """A store that is unreachable, slow, or working."""

    def __init__(self):
        self.store = SessionStore(TTL_S, MOST, Clock())
        self.error = None
        self.is_slow = False
        self.num_calls = 0

    async def session_candidate(self, session_id):
        await self.reach()
        return self.store.get(session_id)

    async def keep_session(self, session_id, candidate):
        await self.reach()
        self.store.put(session_id, candidate)

    async def reach(self):
        self.num_calls += 1
        if self.is_slow:
            await asyncio.Event().wait()
        if self.error:
            raise self.error


def with_client(scenario):
    async def main():
        store, clock = FakeStore(), Clock()
        return await scenario(
            store, SessionClient(store, SessionOptions(timeout_s=0.01), clock), clock
        )

    return asyncio.run(main())


def test_a_stored_candidate_is_returned():
    async def scenario(store, client, clock):
        client.put("s", "a")
        await asyncio.sleep(0)
        return await client.get("s"), await client.get("other")

    assert with_client(scenario) == ("a", None)


@pytest.mark.parametrize("error", [MachineError("away"), RuntimeError("a defect")])
def test_an_unreachable_store_returns_none_and_is_not_called_for_a_while(error):
    async def scenario(store, client, clock):
        store.error = error
        answers = [await client.get("s") for _ in range(5)]
        client.put("s", "a")
        await asyncio.sleep(0)
        num_calls, store.error = store.num_calls, None
        clock.now_s += 5
        client.put("s", "a")  # does not call the store: only `get` does after a pause
        return answers, num_calls, await client.get("s"), store.num_calls

    assert with_client(scenario) == ([None] * 5, 3, None, 4)


def test_a_slow_store_is_not_waited_for():
    async def scenario(store, client, clock):
        store.is_slow = True
        return await client.get("s")

    assert with_client(scenario) is None


def test_the_store_receives_hashes_of_session_ids():
    async def scenario(store, client, clock):
        client.put("a name of any length" * 100, "a")
        await asyncio.sleep(0)
        return [len(name) for name in store.store._sessions]

    assert with_client(scenario) == [64]
