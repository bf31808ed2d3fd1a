"""One Ray cluster of this machine for all integration tests of a session."""

import os
from collections.abc import Iterator

import pytest
import ray

from serve_app.throughput import single_machine_environment
from tests.support.cluster import Cluster, running_cluster

NUM_LOGICAL_CPUS = 16  # more than cores: many small processes each book one


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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that asks for a token, as `ray start` makes it."""
    with running_cluster(tmp_path_factory.mktemp("home")) as cluster:
        yield cluster
