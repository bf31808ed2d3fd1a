"""The engine of a scorer replica measured alone, in a process of its own."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.config import ScorerOptions
from serve_app.contracts.zoo_state import ZooState
from serve_app.scoring.engine import ScoringEngine
from tests.benchmarks import fresh_process
from tests.benchmarks.serving.artifacts import make_cards
from tests.benchmarks.serving.load import make_prompt

DTYPE: Literal["auto"] = "auto"  # bfloat16 where the processor computes in it
DECISION_CARDS = (1, 100, 1000)
CONCURRENCY = (20, 5, 1)
_NUM_DECISIONS = 25
_RATE_DURATION_S = 4.0
_PROMPT_WORDS = 126


@dataclass(frozen=True)
class ScorerFigures:
    """One run.

    Attributes:
        decision_ms: median time of one decision on a distinct prompt, by number of candidates.
        texts_per_s: distinct prompts scored per second, by number of concurrent requests.
    """

    decision_ms: dict[int, float]
    texts_per_s: dict[int, float]


def measure_scorer(router: Path, num_cards: int, num_threads: int, seed: int) -> ScorerFigures:
    """Measure in a new process.

    Args:
        router: router directory.
        num_cards: candidates of the zoo whose scoring rate is measured.
        num_threads: threads of the scorer, as many as the served scorer has.
        seed: seed of the prompts.
    """
    return fresh_process.call(
        _measure,
        router,
        num_cards,
        num_threads,
        seed,
        environment={"OMP_NUM_THREADS": str(num_threads)},
    )


class _Prompts:
    """Prompts that have not been scored before."""

    def __init__(self, seed: int) -> None:
        self._seed, self._number = seed, 0

    def next(self) -> str:
        self._number += 1
        return make_prompt(self._seed, self._number, _PROMPT_WORDS)


def _measure(router: Path, num_cards: int, num_threads: int, seed: int) -> ScorerFigures:
    return asyncio.run(_measure_engine(router, num_cards, num_threads, _Prompts(seed)))


async def _measure_engine(
    router: Path, num_cards: int, num_threads: int, prompts: _Prompts
) -> ScorerFigures:
    from serve_app.scoring.deployment import make_engine

    options = ScorerOptions(num_threads=num_threads, dtype=DTYPE)
    engine = make_engine(options)
    await engine.follow(_state(router, 1, num_cards))
    texts_per_s = {number: await _rate(engine, prompts, number) for number in CONCURRENCY}
    decision_ms = {}
    for version, size in enumerate(DECISION_CARDS, 2):
        await engine.follow(_state(router, version, size))
        times_ms = []
        for number in range(_NUM_DECISIONS + 3):
            start_s = time.perf_counter()
            await engine.score(prompts.next())
            if number >= 3:
                times_ms.append(1000 * (time.perf_counter() - start_s))
        decision_ms[size] = sorted(times_ms)[len(times_ms) // 2]
    return ScorerFigures(decision_ms, texts_per_s)


async def _rate(engine: ScoringEngine, prompts: _Prompts, concurrency: int) -> float:
    """Return texts per second in a closed loop of concurrent requests."""
    count, start_s = 0, time.perf_counter()

    async def ask() -> None:
        nonlocal count
        while time.perf_counter() < start_s + _RATE_DURATION_S:
            await engine.score(prompts.next())
            count += 1

    await asyncio.gather(*(ask() for _ in range(concurrency)))
    return count / (time.perf_counter() - start_s)


def _state(router: Path, version: int, num_cards: int) -> ZooState:
    """Return a zoo for the scorer, which reads the cards and sends no request to a candidate."""
    cards = tuple(make_cards(num_cards))
    candidate = OpenAICandidate(
        name=cards[0].candidate,
        engine="openai",
        base_url="http://127.0.0.1/v1",
        model="unused",
        context_window=8192,
    )
    return ZooState(version, Zoo(version=1, candidates=(candidate,)), cards, str(router))
