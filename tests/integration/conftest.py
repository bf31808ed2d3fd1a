"""One Ray cluster of this machine for all integration tests of a session."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from serve_app.throughput import single_machine_environment
from tests.support.cluster import Cluster, running_cluster
from tests.support.train_jobs.toy_job import overfitting_job, write_toy_tables
from tests.support.worker_groups import GroupScheduling
from train_jobs.config import TrainJobConfig
from train_jobs.job import TrainSummary, train_router

NUM_LOGICAL_CPUS = 16  # more than cores: many small processes each book one


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Keep tests that share an endpoint or a trained router in one worker."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster that ends with the session; never one that runs already.

    Serve runs on it as ``modelsat serve`` has it on a cluster of its own.
    """
    os.environ.update(single_machine_environment())
    ray.init(
        address="local",
        num_cpus=NUM_LOGICAL_CPUS,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def noisy_tables(tmp_path_factory) -> Path:
    """Tables with a part that can only be memorised."""
    return write_toy_tables(tmp_path_factory.mktemp("noisy"), wrong_fraction=0.3)


@pytest.fixture(scope="session")
def stopped(noisy_tables, tmp_path_factory, ray_cluster) -> tuple[TrainJobConfig, TrainSummary]:
    """A job that stopped early, unbroken."""
    config = overfitting_job(noisy_tables, tmp_path_factory.mktemp("stopped"))
    return config, train_router(config)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that asks for a token, as `ray start` makes it."""
    with running_cluster(tmp_path_factory.mktemp("home")) as cluster:
        yield cluster
