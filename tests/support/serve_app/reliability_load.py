"""Who asks an endpoint while things happen to it, and how every request went."""

import asyncio
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from tests.support.serve_app.reliability import CLIENT_TIMEOUT_S, Endpoint, chat_body

REFUSED = {429, 503}  # too much at a time
NO_ANSWER = 0  # status of a request whose connection failed


@dataclass(frozen=True)
class Reply:
    """How one request went.

    Attributes:
        number: which request of its load, from 1.
        status: HTTP status, `NO_ANSWER` where there is none.
        headers: in lower case.
        started_s: monotonic.
        duration_s: until the end of the answer, retries included.
        body: the answer.
        num_retries: times it was sent again.
    """

    number: int
    status: int
    headers: Mapping[str, str]
    started_s: float
    duration_s: float
    body: bytes
    num_retries: int = 0

    @property
    def is_good(self) -> bool:
        """Whether it is a complete answer; a stream may end with an error after its 200."""
        if self.status != 200:
            return False
        is_stream = self.headers.get("content-type", "").startswith("text/event-stream")
        return self.body.endswith(b"data: [DONE]\n\n") if is_stream else True


MakeBody = Callable[[int], dict[str, Any]]


def distinct(number: int) -> dict[str, Any]:
    """A routed request with a text of its own, so that it is scored and not remembered."""
    return chat_body(f"What is {number} plus {7 * number}? {random.random()}", max_tokens=4)


def mixed(number: int) -> dict:
    """Every third request is for a stream."""
    return {**distinct(number), "stream": number % 3 == 0}


class Caller:
    """An HTTP client that takes down how every request went."""

    def __init__(
        self, endpoint: Endpoint, make: MakeBody = distinct, *, num_retries: int = 0
    ) -> None:
        self._endpoint, self._make, self._num_retries = endpoint, make, num_retries
        self._number = 0
        self.replies: list[Reply] = []
        self.moved = threading.Condition()

    async def __aenter__(self) -> "Caller":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=CLIENT_TIMEOUT_S),
            headers=self._endpoint.headers,
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def ask(self) -> None:
        """Send the next request, and again after a failure that a client may retry."""
        self._number += 1
        number = self._number
        body = self._make(number)
        started_s = time.monotonic()
        for num_retries in range(self._num_retries + 1):
            reply = await self._send(number, body, started_s, num_retries)
            if reply.is_good or 400 <= reply.status < 429:
                break
            if num_retries < self._num_retries:
                await asyncio.sleep(float(reply.headers.get("retry-after", 1)))
        with self.moved:
            self.replies.append(reply)
            self.moved.notify_all()

    async def _send(
        self, number: int, body: dict[str, Any], started_s: float, num_retries: int
    ) -> Reply:
        status, headers, content = NO_ANSWER, {}, b""
        try:
            async with self._session.post(self._endpoint.chat_url, json=body) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                content = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        duration_s = time.monotonic() - started_s
        return Reply(number, status, headers, started_s, duration_s, content, num_retries)


def closed_load(
    endpoint: Endpoint,
    concurrency: int,
    *,
    duration_s: float = math.inf,
    num_requests: float = math.inf,
    make: MakeBody = distinct,
) -> list[Reply]:
    """Askers that each send the next request when the last one is answered."""

    async def ask_in_turn(caller: Caller, deadline: float) -> None:
        nonlocal num_requests
        while time.monotonic() < deadline and num_requests > 0:
            num_requests -= 1
            await caller.ask()

    async def ask_all() -> list[Reply]:
        async with Caller(endpoint, make) as caller:
            deadline = time.monotonic() + duration_s
            await asyncio.gather(*(ask_in_turn(caller, deadline) for _ in range(concurrency)))
        return caller.replies

    return asyncio.run(ask_all())


def statuses(replies: Iterable[Reply]) -> Counter[int]:
    """How many replies had which HTTP status."""
    return Counter(reply.status for reply in replies)


def throughput(endpoint: Endpoint, step_s: float) -> dict[int, float]:
    """Answers per second by how many ask at a time; every request is answered or refused.

    Args:
        endpoint: that is asked.
        step_s: length of each load.
    """
    found = {}
    for concurrency in (1, 5, 10, 20, 50):
        counted = statuses(closed_load(endpoint, concurrency, duration_s=step_s))
        assert set(counted) <= {200, *REFUSED}, (concurrency, counted)
        assert counted[200], concurrency
        found[concurrency] = counted[200] / step_s
    return found


@contextmanager
def watched_health(endpoint: Endpoint) -> Iterator[list[tuple[int, float]]]:
    """Status and duration in seconds of the liveness probe, one probe every 50 ms."""
    probes: list[tuple[int, float]] = []
    over = threading.Event()
    url = f"{endpoint.config.url.removesuffix('/v1')}/health/live"

    def watch() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not over.wait(0.05):
                started_s = time.monotonic()
                status = client.get(url).status_code
                probes.append((status, time.monotonic() - started_s))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield probes
    finally:
        over.set()
        thread.join()


def timed_load(
    endpoint: Endpoint, offsets_s: Iterable[float], make: MakeBody = distinct
) -> list[Reply]:
    """Requests sent at these times from now on, however long the answers take."""

    async def ask_at(caller: Caller, offset_s: float) -> None:
        await asyncio.sleep(offset_s)
        await caller.ask()

    async def ask_all() -> list[Reply]:
        async with Caller(endpoint, make) as caller:
            await asyncio.gather(*(ask_at(caller, offset_s) for offset_s in offsets_s))
        return caller.replies

    return asyncio.run(ask_all())


def ramp(first_per_s: float, last_per_s: float, duration_s: float) -> Iterator[float]:
    """Times of requests whose rate changes evenly from one to another."""
    time_s = 0.0
    while time_s < duration_s:
        yield time_s
        time_s += 1 / (first_per_s + (last_per_s - first_per_s) * time_s / duration_s)


class SteadyLoad:
    """Requests that come in at a steady rate while other things happen."""

    def __init__(self, caller: Caller, per_s: float) -> None:
        self._caller, self._per_s = caller, per_s

    @property
    def replies(self) -> list[Reply]:
        return self._caller.replies

    def wait_for(self, num_more: int) -> list[Reply]:
        """The next replies."""
        start = len(self.replies)
        with self._caller.moved:
            enough = self._caller.moved.wait_for(
                lambda: len(self.replies) >= start + num_more, timeout=180
            )
        assert enough, f"{len(self.replies) - start} of {num_more} replies after 180 s"
        return self.replies[start : start + num_more]

    async def run(self, stopped: asyncio.Event) -> None:
        async with self._caller, asyncio.TaskGroup() as group:
            while not stopped.is_set():
                group.create_task(self._caller.ask())
                await asyncio.sleep(1 / self._per_s)


@contextmanager
def steady_load(
    endpoint: Endpoint, per_s: float, make: MakeBody = distinct, *, num_retries: int = 0
) -> Iterator[SteadyLoad]:
    """Requests for as long as a block runs, from a thread of their own."""
    load = SteadyLoad(Caller(endpoint, make, num_retries=num_retries), per_s)
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(load.run(stopped),))
    thread.start()
    try:
        yield load
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
