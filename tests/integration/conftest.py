"""One Ray cluster of this machine for all integration tests of a session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from serve_app.throughput import single_machine_environment
from tests.support.cluster import Cluster, running_cluster
from tests.support.train_jobs.toy_job import overfitting_job, write_toy_tables
from train_jobs.config import TrainJobConfig
from train_jobs.job import TrainSummary, train_router

NUM_LOGICAL_CPUS = 16  # more than cores: many small processes each book one
HERE = Path(__file__).parent
# Groups of files that share nothing with their folder, or something with another one.
GROUPS = {
    "test_nodes.py": "train_jobs",  # the unbroken job
    "test_distributed.py": "ranks",
    "test_plan.py": "plan",
    "test_schema.py": "schema",
}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share an endpoint or a trained router in one worker of pytest-xdist."""
    for item in items:
        if item.path.is_relative_to(HERE):
            folder = item.path.relative_to(HERE).parts[0]
            item.add_marker(pytest.mark.xdist_group(GROUPS.get(item.path.name, folder)))


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
