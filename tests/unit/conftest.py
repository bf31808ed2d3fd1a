"""Unit tests reach no cluster and no network, and each has a short time limit."""

import os
from pathlib import Path

# The models of unit tests are tiny, and files run side by side: threads would only wait for each
# other. torch reads it when a test module imports it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.support.guards import avx2_processor, loopback, no_cluster, no_network

__all__ = ["avx2_processor", "loopback", "no_cluster", "no_network"]

UNIT_TIMEOUT_S = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every unit test its own, shorter limit."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(UNIT_TIMEOUT_S))
