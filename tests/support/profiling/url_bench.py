"""Questions, a zoo of URLs and a configuration over them, for tests of remote candidates."""

import time
from pathlib import Path
from typing import Any

import yaml

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from tests.support.profiling.killable import Run
from tests.support.upstream import Upstream

NUM_QUESTIONS = 200
NUM_TOO_LONG = 4  # 2 %
CONTEXT_WORDS = 8
MAX_NEW_TOKENS = 2
BLOCK_SIZE, BATCH_SIZE = 16, 8


def question(i: int) -> dict[str, Any]:
    """Question i; a few are longer than the URL reads."""
    num_words = CONTEXT_WORDS + 1 if i % (NUM_QUESTIONS // NUM_TOO_LONG) == 7 else 1 + i % 7
    is_choice = i % 4 == 1
    return {
        "question_id": f"q{i:03d}",
        "benchmark": "words",
        "task": "words",
        "prompt": " ".join(["word"] * num_words),
        # The server says "fake-0 fake-1 " to everything: no letter, and every second gold text.
        "answer": "A" if is_choice else ("fake-0 fake-1" if i % 2 else "nothing like it"),
        "n_choices": 4 if is_choice else None,
    }


def remote(name: str, url: str, **fields: Any) -> dict[str, Any]:
    """A candidate of a zoo file behind a URL."""
    return {
        "name": name,
        "engine": "openai",
        "base_url": url,
        "model": "fake-model",
        "context_window": 4096,
        **fields,
    }


def write_inputs(folder: Path) -> None:
    """The questions and a task set over the first of them."""
    write_table(
        QUESTIONS, [question(i) for i in range(NUM_QUESTIONS)], folder / "questions.parquet"
    )
    core = CoreTask(
        task="words",
        keywords=("a", "b", "c", "d", "e"),
        question_ids=tuple(f"q{i:03d}" for i in range(40)),
    )
    TaskSet(benchmark="words", tasks=(core,)).save(folder / "tasks.json")


def configure(folder: Path, out: str, *candidates: dict[str, Any], **changes: Any) -> Path:
    """The configuration file of a run over these candidates."""
    (folder / f"{out}-zoo.yaml").write_text(
        yaml.safe_dump({"version": 1, "candidates": list(candidates)})
    )
    config = {
        "zoo": str(folder / f"{out}-zoo.yaml"),
        "questions": [str(folder / "questions.parquet")],
        "tasks": str(folder / "tasks.json"),
        "output_dir": str(folder / out),
        "block_size": BLOCK_SIZE,
        "batch_size": BATCH_SIZE,
        "max_new_tokens": MAX_NEW_TOKENS,
        "max_truncated_fraction": 1.0,
        **changes,
    }
    path = folder / f"{out}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def fall_silent(run: Run, upstream: Upstream, replicas: int) -> None:
    """Leave every replica a whole block before it that has no end, so that none asks any more.

    A URL that behaves again answers what is asked from then on, not what is open.
    """
    settled_s = 5 * upstream.behaviour.latency_s
    upstream.behave(fault="silence")
    seen: dict[frozenset[str], float] = {}

    def is_settled() -> bool:
        batches = frozenset(run.open_batches())
        waited_s = time.monotonic() - seen.setdefault(batches, time.monotonic())
        return len(batches) == replicas * BLOCK_SIZE // BATCH_SIZE and waited_s > settled_s

    run.wait_until(is_settled)
