"""Fallback with scripted clients; test_fallback_over_http runs it over HTTP."""

import asyncio
import json
from contextlib import suppress

import pytest

from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth, State
from serve_app.candidates.rewriting import UpstreamError
from serve_app.config import FallbackOptions
from serve_app.contracts.answers import (
    Answer,
    AnswerFacts,
    CandidateFailure,
    Deadline,
    DispatchError,
    Document,
)

OPTIONS = FallbackOptions(
    max_attempts=3, failures_to_cool=2, cooldown_s=5, max_cooldown_s=60, attempt_timeout_s=50
)
BODY = {"messages": [{"role": "user", "content": "how tall is a giraffe"}]}


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class FakeParts:
    """Yields bytes; raises exceptions; blocks at an Ellipsis."""

    def __init__(self, *parts):
        self.parts = iter(parts)
        self.is_closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        part = next(self.parts, None)
        if part is None:
            raise StopAsyncIteration
        if isinstance(part, Exception):
            raise part
        if part is ...:
            await asyncio.Event().wait()
        return part

    async def aclose(self):
        self.is_closed = True


class FakeClient:
    """Answers with its name, or with the scripted results, one after another."""

    def __init__(self, name):
        self.name = name
        self.scripted = []
        self.always = None
        self.requests = []
        self.limits_s = []

    async def open(self, endpoint, body, *, timeout_s):
        self.requests.append((endpoint, body))
        self.limits_s.append(timeout_s)
        result = self.scripted.pop(0) if self.scripted else self.always
        if isinstance(result, BaseException):
            raise result
        if result is not None:
            return result
        return Answer(200, FakeParts(self.name.encode()))


class World:
    """Candidates ``a`` to ``e`` behind one dispatcher."""

    def __init__(self, options=OPTIONS):
        self.clock = Clock()
        self.clients = {name: FakeClient(name) for name in "abcde"}
        self.health = CandidateHealth(options, self.clock)
        self.dispatcher = Dispatcher(self.clients, self.health, options, self.clock)

    async def send(self, ranking, *, stream=False, limit_s=100):
        return await self.dispatcher.send(
            tuple(ranking),
            "chat",
            BODY,
            stream=stream,
            deadline=Deadline(limit_s, self.clock),
        )

    def outcomes(self, ranking="abcde", **kwargs):
        """The attempts and their outcomes, and the error if no candidate answered."""
        try:
            sent, error = asyncio.run(self.send(ranking, **kwargs)), None
        except DispatchError as raised:
            sent, error = raised, raised
        return [(a.candidate, a.outcome) for a in sent.attempts], error

    def stream(self, *parts, **kwargs):
        """Parts of a stream of ``a``, the facts read from it, and its source."""

        async def run():
            source, facts = FakeParts(*parts), AnswerFacts()
            self.clients["a"].scripted = [Answer(200, source, facts)]
            sent = await self.send("a", stream=True, **kwargs)
            return [part async for part in sent.answer.parts], facts, source

        return asyncio.run(run())


@pytest.fixture
def world():
    return World()


def failure(kind, status=None, retry_after_s=None):
    return CandidateFailure(kind, status=status, retry_after_s=retry_after_s)


def refusal(status):
    return Answer(status, Document(b"{}"))


def error_of(event):
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    return json.loads(event[6:])["error"]


@pytest.mark.parametrize("stream", [False, True])
def test_only_the_first_candidate_of_the_ranking_gets_the_request(world, stream):
    assert world.outcomes("cab", stream=stream) == ([("c", "answered")], None)
    assert world.clients["c"].requests == [("chat", BODY)]
    assert not world.clients["a"].requests


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "kind", ["timeout", "unreachable", "rate_limited", "overloaded", "server_error", "garbage"]
)
def test_a_failure_is_retried_on_the_next_candidate(world, kind, stream):
    world.clients["b"].scripted = [failure(kind)]
    assert world.outcomes("bda", stream=stream) == ([("b", kind), ("d", "answered")], None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_is_the_answer(world, status, stream):
    world.clients["a"].scripted = [refusal(status)]
    assert world.outcomes(stream=stream) == ([("a", "refused")], None)


def test_the_number_of_attempts_is_limited(world):
    for client in world.clients.values():
        client.always = failure("server_error")
    attempts, _error = world.outcomes("abcde")
    assert [name for name, _outcome in attempts] == ["a", "b", "c"]


def test_removed_candidates_are_skipped_without_an_attempt(world):
    for name in "abcd":
        del world.clients[name]
    assert world.outcomes("abcde") == ([("e", "answered")], None)


def test_candidates_in_cooldown_are_skipped_without_an_attempt(world):
    for name in "abcd":
        world.clients[name].scripted = [failure("rate_limited", 429)]
    world.outcomes("ab")
    world.outcomes("cd")
    assert world.outcomes("abcde") == ([("e", "answered")], None)


def test_durations_of_attempts_are_measured(world):
    async def slow(_endpoint, _body, *, timeout_s):
        world.clock.now_s += 7
        raise failure("timeout")

    world.clients["a"].open = slow
    sent = asyncio.run(world.send("ab"))
    assert [attempt.duration_s for attempt in sent.attempts] == [7, 0]


@pytest.mark.parametrize(
    ("stream", "limit_s", "least"),
    [(True, 100, 50), (False, 1000, 300), (True, 8, 8), (False, 8, 8)],
)
def test_an_attempt_ends_at_its_own_limit_or_the_deadline(world, stream, limit_s, least):
    world.outcomes("a", stream=stream, limit_s=limit_s)
    assert world.clients["a"].limits_s == [least]


@pytest.mark.parametrize(
    ("failures", "status", "code"),
    [
        (["unreachable"], 503, "no_healthy_candidate"),
        (["overloaded", "server_error"], 503, "no_healthy_candidate"),
        (["rate_limited", "rate_limited"], 429, "rate_limited"),
        (["rate_limited", "unreachable"], 503, "no_healthy_candidate"),
        (["timeout", "timeout"], 504, "timeout"),
        (["garbage", "garbage"], 502, "bad_gateway"),
        (["garbage", "timeout"], 503, "no_healthy_candidate"),
    ],
)
def test_the_error_if_no_candidate_answers(world, failures, status, code):
    for name, kind in zip("abc", failures, strict=False):
        world.clients[name].scripted = [failure(kind)]
    attempts, error = world.outcomes("abc"[: len(failures)])
    assert attempts == list(zip("abc", failures, strict=False))
    assert (error.status, error.code) == (status, code)
    assert (error.retry_after_s is not None) == (status in (429, 503))


def test_retry_after_is_when_the_first_candidate_may_be_asked_again(world):
    world.clients["a"].scripted = [failure("rate_limited", 429, 30)]
    world.clients["b"].scripted = [failure("rate_limited", 429, 7.2)]
    assert world.outcomes("ab")[1].retry_after_s == 8
    world.clock.now_s += 3
    attempts, error = world.outcomes("ab")
    assert attempts == []
    assert (error.status, error.code, error.retry_after_s) == (503, "no_healthy_candidate", 5)


def test_all_down_then_back(world):
    """In cool-down requests are refused without an attempt; one success restores the candidate."""
    world.clients["a"].always = failure("unreachable")
    for _ in range(2):
        world.outcomes("a")
    num_asked = len(world.clients["a"].requests)
    attempts, error = world.outcomes("a")
    assert (attempts, error.status, error.retry_after_s) == ([], 503, 5)
    assert len(world.clients["a"].requests) == num_asked
    world.clients["a"].always = None
    world.clock.now_s += 5
    for _ in range(3):
        assert world.outcomes("a") == ([("a", "answered")], None)


@pytest.mark.parametrize("early_s", [0, 0.0012])  # uvloop's timers fire up to 1.2 ms early
def test_the_deadline_ends_the_search(world, early_s):
    async def slow(_endpoint, _body, *, timeout_s):
        world.clock.now_s += timeout_s - early_s
        raise failure("timeout")

    world.clients["a"].open = slow
    attempts, error = world.outcomes("ab", limit_s=8)
    assert attempts == [("a", "timeout")]
    assert error.status == 504


def test_a_shorter_limit_of_the_client_counts_against_no_candidate(world):
    world.clients["a"].always = failure("timeout")
    for _ in range(5):
        world.outcomes("a", limit_s=8)
    assert world.health.state("a") == State.HEALTHY
    for _ in range(2):
        world.outcomes("a", limit_s=1000)
    assert world.health.state("a") == State.COOLED


@pytest.mark.parametrize("ends", [failure("timeout"), asyncio.CancelledError()])
def test_a_hanging_candidate_is_cooled_even_if_every_caller_gives_up_earlier(world, ends):
    """Each caller waits 30 s of the 300 s allowed: the second exceeds 50 s of silence."""

    async def hang(_endpoint, _body, *, timeout_s):
        world.clock.now_s += 30
        raise ends

    world.clients["a"].open = hang
    for _ in range(3):
        assert world.health.state("a") == State.HEALTHY
        with suppress(asyncio.CancelledError):
            world.outcomes("a", limit_s=30)
    assert world.health.state("a") == State.COOLED


@pytest.mark.parametrize("stream", [False, True])
def test_a_disconnected_caller_counts_against_no_candidate(world, stream):
    world.clients["a"].scripted = [failure("rate_limited", 429)]
    world.outcomes("a")
    world.clock.now_s += 5
    world.clients["a"].scripted = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        world.outcomes("a", stream=stream)
    assert world.health.state("a") == State.HALF_OPEN
    assert world.outcomes("a", stream=stream) == ([("a", "answered")], None)


def test_a_stream_passes_and_its_end_is_a_success(world):
    world.clients["a"].scripted = [failure("server_error")]
    world.outcomes("a")
    assert world.stream(b"1", b"2")[0] == [b"1", b"2"]
    world.clients["a"].scripted = [failure("server_error")]
    world.outcomes("a")
    assert world.health.state("a") == State.HEALTHY


@pytest.mark.parametrize("kind", ["unreachable", "garbage", "server_error"])
def test_a_stream_that_breaks_ends_with_an_error_event_and_no_other_candidate(world, kind):
    parts, facts, source = world.stream(b"1", failure(kind))
    assert parts[0] == b"1"
    assert error_of(parts[1])["code"] == "model_failed"
    assert len(parts) == 2
    assert facts.failure == kind
    assert source.is_closed


@pytest.mark.parametrize(
    ("status", "kind", "num_streams", "cools"),
    [
        (500, "server_error", 2, True),
        (429, "rate_limited", 1, True),
        (400, "server_error", 2, False),
    ],
)
def test_an_error_event_ends_the_stream(world, status, kind, num_streams, cools):
    error = UpstreamError(status, b'{"error": {"message": "giraffes are out"}}')
    for _ in range(num_streams):
        parts, facts, source = world.stream(b"1", error)
    assert error_of(parts[1])["message"] == "giraffes are out"
    assert (facts.failure, source.is_closed) == (kind, True)
    assert (world.health.state("a") == State.COOLED) is cools


def test_an_error_event_repeats_no_text_of_the_request(world):
    error = UpstreamError(500, b'{"error": {"message": "no: how tall is a giraffe"}}')
    parts, _facts, _source = world.stream(b"1", error)
    assert "giraffe" not in error_of(parts[1])["message"]


@pytest.mark.parametrize("quoted", ["sk-1234567890abcdef", "sk-1234567890abcd..."])
def test_an_error_event_does_not_repeat_the_key(world, quoted):
    async def run():
        error = UpstreamError(500, json.dumps({"error": {"message": f"key {quoted}"}}).encode())
        answer = Answer(200, FakeParts(b"1", error), secret="sk-1234567890abcdef")
        world.clients["a"].scripted = [answer]
        sent = await world.send("a", stream=True)
        return [part async for part in sent.answer.parts][1]

    assert "sk-" not in error_of(asyncio.run(run()))["message"]


def test_streams_that_break_cool_their_candidate(world):
    for _ in range(2):
        world.stream(b"1", failure("unreachable"))
    assert world.health.state("a") == State.COOLED


def test_a_pause_that_is_too_long_ends_a_stream():
    world = World(OPTIONS.model_copy(update={"stream_idle_timeout_s": 0.01}))
    for _ in range(2):
        parts, facts, source = world.stream(b"1", ...)
    assert error_of(parts[1])["type"] == "timeout"
    assert (facts.failure, source.is_closed) == ("timeout", True)
    assert world.health.state("a") == State.COOLED


def test_the_deadline_ends_a_stream_and_counts_against_no_candidate(world):
    for _ in range(2):
        parts, facts, source = world.stream(b"1", ..., limit_s=0.01)
    assert error_of(parts[1])["type"] == "timeout"
    assert (facts.failure, source.is_closed) == ("timeout", True)
    assert world.health.state("a") == State.HEALTHY


def test_the_deadline_also_ends_a_stream_that_never_pauses(world):
    async def run():
        world.clients["a"].scripted = [Answer(200, FakeParts(*[b"1"] * 10))]
        sent = await world.send("a", stream=True, limit_s=4.5)
        parts = []
        async for part in sent.answer.parts:
            parts.append(part)
            world.clock.now_s += 1
        return parts

    *passed, event = asyncio.run(run())
    assert passed == [b"1"] * 5
    assert error_of(event)["type"] == "timeout"


@pytest.mark.parametrize("num_taken", [0, 1])
def test_closing_a_stream_early_closes_its_source_and_counts_against_no_candidate(world, num_taken):
    async def run():
        source = FakeParts(b"1", b"2")
        world.clients["a"].scripted = [Answer(200, source)]
        sent = await world.send("a", stream=True)
        for _ in range(num_taken):
            await anext(sent.answer.parts)
        await sent.answer.parts.aclose()
        assert [part async for part in sent.answer.parts] == []
        return source.is_closed

    for _ in range(3):
        assert asyncio.run(run())
    assert world.health.state("a") == State.HEALTHY


def test_a_caller_cancelled_inside_a_stream_closes_its_source(world):
    async def run():
        source = FakeParts(...)
        world.clients["a"].scripted = [Answer(200, source)]
        sent = await world.send("a", stream=True)
        task = asyncio.create_task(anext(sent.answer.parts))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return source.is_closed

    assert asyncio.run(run())


def test_no_available_candidate_is_distinguished_from_all_in_cooldown(world):
    world.clients.clear()
    attempts, error = world.outcomes("ab")
    assert (attempts, error.status, error.retry_after_s) == ([], 503, 1)
    assert "failed" not in error.message
