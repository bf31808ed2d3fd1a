"""A zoo of two random candidates, a random router, and both served once for all tests here."""

import socket
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI

from serve_app.config import ServeConfig

with warnings.catch_warnings():
    # Ray 2.60 declares its settings in a way that pydantic 2 calls deprecated.
    warnings.filterwarnings("ignore", message="Using extra keyword arguments on `Field`")
    import ray.serve  # noqa: F401

from tests.integration.serve_app.tiny_artifacts import (
    candidate_entry,
    write_card_table,
    write_llama,
    write_router,
    write_zoo,
)

STEADY = "tiny/steady"  # always one replica; the slash must survive paths and headers
ELASTIC = "tiny-elastic"  # one replica, two under load
NAMES = (STEADY, ELASTIC)


@dataclass(frozen=True)
class Artifacts:
    """Files of one served zoo."""

    zoo: Path
    cards: Path
    router: Path

    def config(self, **changes: object) -> ServeConfig:
        return ServeConfig(**{**vars(self), "port": free_port(), **changes})


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
    ]
    return Artifacts(
        zoo=write_zoo(root / "zoo.yaml", entries),
        cards=write_card_table(root / "cards.parquet", NAMES),
        router=write_router(root / "router", root / "scratch"),
    )


@pytest.fixture(scope="module")
def served(artifacts: Artifacts, ray_cluster: None) -> Iterator[ServeConfig]:
    from serve_app.lifecycle import deploy, shutdown

    config = artifacts.config()
    deploy(config)
    yield config
    shutdown()


@pytest.fixture(scope="module")
def client(served: ServeConfig) -> Iterator[OpenAI]:
    with OpenAI(base_url=served.url, api_key="unused", max_retries=0, timeout=120) as openai:
        yield openai


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
