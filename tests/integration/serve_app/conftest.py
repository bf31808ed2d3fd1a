"""A zoo of two random models, a random router, and both served once for all tests here."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from openai import OpenAI

from serve_app.config import ServeConfig

with warnings.catch_warnings():
    # Ray 2.60 declares its settings in a way that pydantic 2 calls deprecated.
    warnings.filterwarnings("ignore", message="Using extra keyword arguments on `Field`")
    from serve_app.lifecycle import shutdown

from tests.support.serve_app.lite_router import write_lite_router
from tests.support.serve_app.served import (
    ELASTIC,
    HINT,
    NAMES,
    SHARER,
    STEADY,
    Artifacts,
    start_serve,
    write_config,
)
from tests.support.serve_app.stage import Stage
from tests.support.serve_app.tiny_artifacts import (
    TASKS,
    candidate_entry,
    write_card_table,
    write_llama,
    write_router,
    write_zoo,
)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    root = tmp_path_factory.mktemp("served")
    fast = {"upscale_delay_s": 1, "downscale_delay_s": 4, "metrics_interval_s": 0.5}
    elastic = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 2, **fast}
    entries = [
        candidate_entry(STEADY, write_llama(root / "steady", seed=1)),
        candidate_entry(
            ELASTIC,
            write_llama(root / "elastic", seed=2),
            autoscaling_config={**elastic, "look_back_period_s": 2},
        ),
        {
            "name": SHARER,
            "engine": "vllm",
            "context_window": 4096,
            "same_engine_as": STEADY,
            "generation": {"chat_template_kwargs": {"hint": HINT}},
        },
    ]
    return Artifacts(
        zoo=write_zoo(root / "zoo.yaml", entries),
        cards=write_card_table(root / "cards.parquet", NAMES),
        router=write_router(root / "router", root / "scratch"),
    )


@pytest.fixture(scope="session")
def lite_artifacts(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """The same zoo, routed by a router of the `lite` preset's shape with real MiniLM weights."""
    router = tmp_path_factory.mktemp("lite") / "router"
    return replace(artifacts, router=write_lite_router(router, TASKS))


@pytest.fixture(scope="session")
def stage(ray_cluster: None) -> Iterator[Stage]:
    """What the session's cluster serves."""
    stage = Stage()
    yield stage
    stage.clear()


@pytest.fixture(scope="module")
def served(
    lite_artifacts: Artifacts, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> ServeConfig:
    """The candidates behind the endpoint, left running by the public command."""
    root = tmp_path_factory.mktemp("config")
    return stage.get("engines", lambda: _left_running(root, lite_artifacts))


@contextmanager
def _left_running(root: Path, lite_artifacts: Artifacts) -> Iterator[ServeConfig]:
    # Enough for all that ask two cores at once, and less than a scorer takes to start.
    config = lite_artifacts.config(routing={"scorer_timeout_s": 5})
    path = write_config(root / "serve.yaml", config)
    address = ray.get_runtime_context().gcs_address
    process = start_serve(path, "--no-block", RAY_ADDRESS=address)
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, output + errors
    lines = output.splitlines()
    ready = {line.partition(" ready after ")[0] for line in lines if " ready after " in line}
    assert ready == {"router", *(f"candidate {name}" for name in NAMES)}
    assert f"serving at {config.url}" in lines
    try:
        yield config
    finally:
        shutdown()


@pytest.fixture(scope="module")
def client(served: ServeConfig) -> Iterator[OpenAI]:
    with OpenAI(base_url=served.url, api_key="unused", max_retries=0, timeout=120) as openai:
        yield openai
