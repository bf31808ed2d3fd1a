"""One Ray cluster of this machine for all integration tests of a session."""

from collections.abc import Iterator

import pytest
import ray

NUM_LOGICAL_CPUS = 16  # more than cores: many small processes each book one


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster that ends with the session; never one that runs already."""
    ray.init(
        address="local",
        num_cpus=NUM_LOGICAL_CPUS,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()
