"""A Ray cluster of several simulated nodes of this machine, each with a raylet of its own."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
from ray.cluster_utils import Cluster

# A node whose processes are gone is dead after some 4 s, where Ray's default is 15 s and more; one
# that is only slow, as all of them are on two cores, has 3 s for each answer.
_HEALTH = {
    "health_check_initial_delay_ms": 3000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 4,
}


@dataclass(frozen=True)
class Nodes:
    """A head that runs drivers alone, and workers that may be lost.

    Attributes:
        cluster: Ray's own simulation.
    """

    cluster: Cluster

    @property
    def address(self) -> str:
        """What ``RAY_ADDRESS`` says to a driver."""
        return str(self.cluster.address)

    def add(self, num_cpus: int, **resources: float) -> Any:
        """One more node, alive."""
        return self.cluster.add_node(num_cpus=num_cpus, resources=resources)

    def holding(self, title: str) -> list[Any]:
        """Nodes that run a process whose title begins so; one that is still starting counts not."""
        return [node for node in self.cluster.list_all_nodes() if _workers(node, title)]

    def kill(self, node: Any) -> None:
        """Kill -9 everything that runs on a node."""
        for process in _raylet(node).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def simulated_nodes() -> Iterator[Nodes]:
    """A cluster with a head that offers no CPU."""
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _HEALTH}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Nodes(cluster)
    finally:
        cluster.shutdown()


def _raylet(node: Any) -> psutil.Process:
    [started] = node.all_processes["raylet"]
    return psutil.Process(started.process.pid)


def _workers(node: Any, title: str) -> list[psutil.Process]:
    found = []
    for child in _raylet(node).children(recursive=True):
        with suppress(psutil.Error):
            if any(part.startswith(title) for part in child.cmdline()):
                found.append(child)
    return found
