"""What the router's scorer does alone: the engine of a scorer replica in a process of its own.

Prints JSON: time of one decision by number of candidates, and texts scored per second by how many
are asked for at once.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.config import ScorerOptions
from serve_app.contracts.zoo_state import ZooState
from serve_app.scoring.engine import ScoringEngine
from tests.benchmarks.serving.artifacts import make_cards
from tests.benchmarks.serving.load import ROOT, make_prompt

DTYPE = "auto"  # bfloat16 where the processor computes in it
DECISION_CARDS = (1, 100, 1000)
NUM_ASKERS = (20, 5, 1)
_NUM_DECISIONS = 25
_RATE_DURATION_S = 4.0
_PROMPT_WORDS = 126


@dataclass(frozen=True)
class ScorerFigures:
    """One run.

    Attributes:
        decision_ms: median time of one decision on a distinct prompt, by number of candidates.
        texts_per_s: distinct prompts scored per second, by how many are asked for at once.
    """

    decision_ms: dict[int, float]
    texts_per_s: dict[int, float]


def measure_scorer(router: Path, num_cards: int, num_threads: int, seed: int) -> ScorerFigures:
    """Measure in a new process.

    Args:
        router: router directory.
        num_cards: candidates whose rate is measured.
        num_threads: as the served scorer has them.
        seed: of the prompts.
    """
    numbers = (num_cards, num_threads, seed)
    command = [sys.executable, "-m", __spec__.name, str(router), *map(str, numbers)]
    process = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": str(num_threads), "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"the scorer could not be measured: {process.stderr[-2000:]}")
    figures = json.loads(process.stdout.splitlines()[-1])
    return ScorerFigures(
        **{name: {int(k): v for k, v in values.items()} for name, values in figures.items()}
    )


class _Prompts:
    """Prompts that have not been scored before."""

    def __init__(self, seed: int) -> None:
        self._seed, self._number = seed, 0

    def next(self) -> str:
        self._number += 1
        return make_prompt(self._seed, self._number, _PROMPT_WORDS)


async def _measure(
    router: Path, num_cards: int, num_threads: int, seed: int
) -> dict[str, dict[int, float]]:
    from serve_app.scoring.deployment import make_engine

    prompts = _Prompts(seed)
    options = ScorerOptions(num_threads=num_threads, dtype=DTYPE)
    engine = make_engine(options)
    await engine.follow(_state(router, 1, num_cards))
    texts_per_s = {number: await _rate(engine, prompts, number) for number in NUM_ASKERS}
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
    return {"decision_ms": decision_ms, "texts_per_s": texts_per_s}


async def _rate(engine: ScoringEngine, prompts: _Prompts, num_askers: int) -> float:
    """Texts per second when each asker asks again once it has been answered."""
    count, start_s = 0, time.perf_counter()

    async def ask() -> None:
        nonlocal count
        while time.perf_counter() < start_s + _RATE_DURATION_S:
            await engine.score(prompts.next())
            count += 1

    await asyncio.gather(*(ask() for _ in range(num_askers)))
    return count / (time.perf_counter() - start_s)


def _state(router: Path, version: int, num_cards: int) -> ZooState:
    """A zoo as the scorer needs it: it reads cards, and nobody is asked to answer."""
    cards = tuple(make_cards(num_cards))
    somebody = OpenAICandidate(
        name=cards[0].candidate,
        engine="openai",
        base_url="http://127.0.0.1/v1",
        model="nobody",
        context_window=8192,
    )
    return ZooState(version, Zoo(version=1, candidates=(somebody,)), cards, str(router))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("router", type=Path)
    parser.add_argument("num_cards", type=int)
    parser.add_argument("num_threads", type=int)
    parser.add_argument("seed", type=int)
    json.dump(asyncio.run(_measure(**vars(parser.parse_args()))), sys.stdout)


if __name__ == "__main__":
    main()
