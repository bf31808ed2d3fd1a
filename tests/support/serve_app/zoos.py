"""Zoos, cards and routers for tests of the registry."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelsat.artifacts.router_description import ROUTER_SCHEMA_VERSION
from modelsat.capability.cards import Card, Statement
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.changes import Rules
from serve_app.registry.store import ZooStore

TASKS_HASH = "0123456789abcdef"
TASKS = {"addition": "numbers, sums, digits, carry, total", "spelling": "letters, words, order"}
SHOTS = 500
RULES = Rules(
    profiles=("auto", "auto-cheap"), default_candidate=None, environment={}, max_accuracy_shift=5
)


def card(name: str, *counts: float, tasks_hash: str = TASKS_HASH, notes: str = "") -> Card:
    counts = counts or (250, 250)
    statements = tuple(
        Statement(task, description, float(count), SHOTS)
        for (task, description), count in zip(TASKS.items(), counts, strict=True)
    )
    return Card(name, tasks_hash, statements, notes=notes)


def remote_entry(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "engine": "openai",
        "base_url": "http://127.0.0.1:1/v1",
        "model": "m",
        "context_window": 1000,
        **changes,
    }


def local_entry(name: str, source: str = "org/model", **deployment: Any) -> dict[str, Any]:
    return {
        "name": name,
        "engine": "vllm",
        "context_window": 1000,
        "llm_config": {
            "model_loading_config": {"model_source": source},
            "deployment_config": deployment,
        },
    }


def zoo(*entries: dict[str, Any]) -> Zoo:
    return Zoo.model_validate({"version": 1, "candidates": list(entries)})


def candidate(entry: dict[str, Any]) -> Candidate:
    return zoo(entry).candidates[0]


def write_router(path: Path, *tasks_hashes: str) -> str:
    path.mkdir(parents=True)
    description = {
        "schema_version": ROUTER_SCHEMA_VERSION,
        "tasks_hashes": list(tasks_hashes or (TASKS_HASH,)),
    }
    (path / "router.json").write_text(json.dumps(description))
    return str(path)


def state(*entries: dict[str, Any], version: int = 1, router: str = "router") -> ZooState:
    """A zoo in which every candidate has a card."""
    served = zoo(*entries)
    return ZooState(version, served, tuple(card(name) for name in served.names), router)


def stored(folder: Path, first: ZooState, **options: Any) -> ZooStore:
    """A store that holds one version."""
    store = ZooStore(folder, num_versions=options.pop("num_versions", 20), **options)
    store.write(first, change="configured files", router_hash="r", seed="s")
    return store


def with_version(served: ZooState, version: int) -> ZooState:
    return replace(served, version=version)
