"""Cards and zoos that the serving benchmark serves.

The cards are random: the cost of a decision does not depend on them.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.capability.cards import Card, Statement, write_cards
from modelsat.config import parse_config
from serve_app.config import ServeConfig

ROOT = Path(__file__).parents[3]
SEED = 0
_NUM_TASKS = 50
_NUM_SHOTS = 20
_TOPICS = (
    "algebra anatomy astronomy business chemistry computing economics ethics geography geometry "
    "government history jurisprudence logic machines management marketing medicine nutrition "
    "philosophy physics prehistory psychology relations religion security sociology statistics "
    "virology genetics"
).split()


def make_tasks() -> TaskSet:
    """Return an aptitude test of the usual size: 50 core tasks of 20 questions."""
    return TaskSet(
        benchmark="made-up",
        tasks=tuple(
            CoreTask(
                task=f"task-{index}",
                keywords=_keywords(index),
                question_ids=tuple(f"task-{index}/{shot}" for shot in range(_NUM_SHOTS)),
            )
            for index in range(_NUM_TASKS)
        ),
    )


def make_cards(num_cards: int) -> list[Card]:
    """Return cards with random results."""
    tasks = make_tasks()
    rng = np.random.default_rng(SEED)
    return [
        Card(
            candidate=candidate_name(index),
            tasks_hash=tasks.tasks_hash,
            statements=tuple(
                Statement(task.task, task.description, float(correct), _NUM_SHOTS)
                for task, correct in zip(
                    tasks.tasks, rng.integers(0, _NUM_SHOTS + 1, _NUM_TASKS), strict=True
                )
            ),
        )
        for index in range(num_cards)
    ]


def candidate_name(index: int) -> str:
    """Return the name of a candidate."""
    return f"candidate-{index:04}"


def write_served_zoo(
    folder: Path, router: Path, num_candidates: int, upstream_url: str, key: str, **values: Any
) -> ServeConfig:
    """Write zoo, cards and keys of remote candidates behind one upstream.

    Args:
        folder: new folder of the files.
        router: router directory.
        num_candidates: size of the zoo.
        upstream_url: ``base_url`` of every candidate.
        key: API key that requests must carry.
        values: additional values of the configuration, the port among them.

    Returns:
        The configuration that serves them.
    """
    folder.mkdir(parents=True)
    candidates = [
        {
            "name": candidate_name(index),
            "engine": "openai",
            "base_url": upstream_url,
            "model": candidate_name(index),
            "context_window": 8192,
            "price": {
                "input_usd_per_mtok": 0.1 * (1 + index % 50),
                "output_usd_per_mtok": 0.4 * (1 + index % 50),
            },
        }
        for index in range(num_candidates)
    ]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": candidates}))
    write_cards(make_cards(num_candidates), folder / "cards.parquet")
    keys = [{"name": "benchmark", "sha256": hashlib.sha256(key.encode()).hexdigest()}]
    (folder / "keys.yaml").write_text(yaml.safe_dump({"keys": keys}))
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "cards": str(folder / "cards.parquet"),
        "router": str(router),
        "security": {"keys": str(folder / "keys.yaml")},
        "registry": {"folder": str(folder / "registry")},
        **values,
    }
    return parse_config(ServeConfig, config, source="the serving benchmark")


def _keywords(index: int) -> tuple[str, ...]:
    return tuple(
        _TOPICS[(7 * index + 11 * place + index // 30) % len(_TOPICS)] for place in range(5)
    )
