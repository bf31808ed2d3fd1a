"""What the router's scorer does alone, in a process of its own as in a scorer replica.

Prints JSON: time of one decision by number of candidates, and texts scored per second by the size
of the batch.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.serving.artifacts import make_cards
from tests.benchmarks.serving.load import ROOT, make_prompt

DTYPE = "auto"  # bfloat16 where the processor computes in it
DECISION_CARDS = (1, 100, 1000)
BATCH_SIZES = (1, 4, 16)
_NUM_DECISIONS = 25
_RATE_DURATION_S = 3.0
_PROMPT_WORDS = 126


@dataclass(frozen=True)
class ScorerFigures:
    """One run.

    Attributes:
        decision_ms: median time of one decision on a distinct prompt, by number of candidates.
        texts_per_s: distinct prompts scored per second, by batch size.
    """

    decision_ms: dict[int, float]
    texts_per_s: dict[int, float]


def measure_scorer(router: Path, num_cards: int, num_threads: int, seed: int) -> ScorerFigures:
    """Measure in a new process.

    Args:
        router: router directory.
        num_cards: candidates whose rate is measured.
        num_threads: of a forward pass, as the served scorer has them.
        seed: of the prompts.
    """
    command = [sys.executable, "-m", __spec__.name, str(router), str(num_cards), str(seed)]
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
        *({int(key): value for key, value in figures[name].items()} for name in figures)
    )


def _measure(router: Path, num_cards: int, seed: int) -> dict[str, dict[int, float]]:
    from modelsat.routing.scoring import Scorer

    scorer = Scorer.load(router, dtype=DTYPE)
    number = 0

    def prompts(count: int) -> list[str]:
        nonlocal number
        number += count
        return [make_prompt(seed, number + i, _PROMPT_WORDS) for i in range(count)]

    decision_ms = {}
    for size in DECISION_CARDS:
        cards = make_cards(size)
        scorer.score(prompts(3), cards)
        times_ms = []
        for _ in range(_NUM_DECISIONS):
            texts = prompts(1)
            start_s = time.perf_counter()
            scorer.score(texts, cards)
            times_ms.append(1000 * (time.perf_counter() - start_s))
        decision_ms[size] = sorted(times_ms)[len(times_ms) // 2]
    cards, texts_per_s = make_cards(num_cards), {}
    for size in BATCH_SIZES:
        scorer.score(prompts(size), cards)
        count, start_s = 0, time.perf_counter()
        while time.perf_counter() < start_s + _RATE_DURATION_S:
            scorer.score(prompts(size), cards)
            count += size
        texts_per_s[size] = count / (time.perf_counter() - start_s)
    return {"decision_ms": decision_ms, "texts_per_s": texts_per_s}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("router", type=Path)
    parser.add_argument("num_cards", type=int)
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args()
    json.dump(_measure(arguments.router, arguments.num_cards, arguments.seed), sys.stdout)


if __name__ == "__main__":
    main()
