"""A closed-loop load generator, in a process of its own so that it shares no event loop.

Every worker sends its next request when the last one has been answered in full. Requests that
start during the warm-up are not counted.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import uvloop

from tests.benchmarks import fresh_process

_REQUEST_TIMEOUT_S = 60
# Each is one token of MiniLM's vocabulary, so a prompt's length in tokens is its length in words.
_WORDS = (
    "time year people way day man thing woman life child world school state family student group "
    "country problem hand part place case week company system program question work government "
    "number night point home water room mother area money story fact month lot right study book "
    "eye job word business issue side kind head house service friend father power hour game line "
    "end member law car city community name president team minute idea body information back"
).split()


@dataclass(frozen=True)
class Load:
    """The requests to send.

    Attributes:
        url: base URL with ``/v1``.
        model: model named by every request.
        concurrency: requests in flight.
        duration_s: measured time.
        warmup_s: time before the measurement.
        num_requests: stop after this many measured requests; None means no limit.
        prompt_words: words of a prompt.
        seed: seed of the prompts; two seeds share no prompt.
        num_prompts: number of prompts, sent in turn; None makes every prompt distinct.
        headers: headers of every request.
    """

    url: str
    model: str = "auto"
    concurrency: int = 1
    duration_s: float = 5.0
    warmup_s: float = 1.0
    num_requests: int | None = None
    prompt_words: int = 126
    seed: int = 0
    num_prompts: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadResult:
    """The answers to the measured requests.

    Attributes:
        statuses: number of answers by HTTP status; ``"failed"`` counts failed connections.
        latencies_ms: latencies of the answers with status 200, in order of arrival.
        elapsed_s: time from the first measured request to the last answer.
        num_scored: number of answers with status 200 whose candidate was chosen by scores.
    """

    statuses: dict[str, int]
    latencies_ms: list[float]
    elapsed_s: float
    num_scored: int

    @property
    def requests_per_s(self) -> float:
        """Answers with status 200 per second."""
        return len(self.latencies_ms) / self.elapsed_s

    @property
    def scored_per_s(self) -> float:
        """Answers with status 200 per second whose candidate was chosen by scores."""
        return self.num_scored / self.elapsed_s

    @property
    def ok_fraction(self) -> float:
        """Share of requests answered 200."""
        return self.statuses.get("200", 0) / max(1, sum(self.statuses.values()))

    def percentile_ms(self, percent: float) -> float:
        """Percentile of the latencies; NaN if no request succeeded."""
        return float(np.percentile(self.latencies_ms, percent)) if self.latencies_ms else np.nan


def make_prompt(seed: int, number: int, num_words: int) -> str:
    """Return a prompt that differs for every seed and number."""
    words = random.Random(f"{seed}/{number}").choices(_WORDS, k=num_words)
    return " ".join(words)


def run_load(load: Load) -> LoadResult:
    """Send a load from a new process and return its result."""
    return fresh_process.call(_generate, load)


def _generate(load: Load) -> LoadResult:
    return uvloop.run(_Generator(load).run())


class _Generator:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._number = 0
        self._bodies: dict[int, bytes] = {}
        self.statuses: Counter[str] = Counter()
        self.latencies_ms: list[float] = []
        self._num_scored = 0
        self._first_s = self._last_s = 0.0

    async def run(self) -> LoadResult:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=timeout,
            headers={"Content-Type": "application/json", **self._load.headers},
        ) as session:
            self._first_s = time.monotonic() + self._load.warmup_s
            self._last_s = self._first_s
            await asyncio.gather(*(self._work(session) for _ in range(self._load.concurrency)))
        elapsed_s = self._last_s - self._first_s
        return LoadResult(dict(self.statuses), self.latencies_ms, elapsed_s, self._num_scored)

    async def _work(self, session: aiohttp.ClientSession) -> None:
        load, url = self._load, self._load.url + "/chat/completions"
        end_s = self._first_s + load.duration_s
        while (start_s := time.monotonic()) < end_s and not self._is_full():
            status, is_scored = await _send(session, url, self._next_body())
            now_s = time.monotonic()
            if start_s >= self._first_s:
                self.statuses[status] += 1
                self._last_s = now_s
                if status == "200":
                    self.latencies_ms.append(1000 * (now_s - start_s))
                    self._num_scored += is_scored

    def _is_full(self) -> bool:
        limit = self._load.num_requests
        return limit is not None and sum(self.statuses.values()) >= limit

    def _next_body(self) -> bytes:
        load, number = self._load, self._number
        self._number += 1
        if load.num_prompts is not None:
            number %= load.num_prompts
        if number not in self._bodies:
            prompt = make_prompt(load.seed, number, load.prompt_words)
            body: dict[str, Any] = {"model": load.model, "max_tokens": 8}
            body["messages"] = [{"role": "user", "content": prompt}]
            content = json.dumps(body).encode()
            if load.num_prompts is None:
                return content
            self._bodies[number] = content
        return self._bodies[number]


async def _send(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[str, bool]:
    """Return the status of the answer, and whether its candidate was chosen by scores."""
    try:
        async with session.post(url, data=body) as response:
            await response.read()
            return str(response.status), "x-modelsat-confidence" in response.headers
    except (aiohttp.ClientError, TimeoutError):
        return "failed", False
