"""Kills processes of a running endpoint at random, as failing machines and full memory do."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from ray import serve
from ray.exceptions import RayError

from serve_app.builder import ROUTER_APPLICATION
from tests.support.serve_app.reliability import processes, replica_processes

# Deployments with two replicas, and what there is one of on a machine.
REPLICATED = ("Ingress", "Scorer")
SINGLE = {
    "zoo controller": f"ServeReplica:{ROUTER_APPLICATION}:ZooController",
    "Serve controller": "ray::ServeController",
}


class Killer:
    """Kills one process at a time.

    A replica of two is spared until the other one has run for a whole pause: what is shown is
    that one failure at a time costs nothing, not that two ingress replicas can both be missed.
    What there is one of, and Serve needs to replace replicas, is killed no oftener than these.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._whole: set[str] = set()
        self.killed: list[str] = []

    def strike(self) -> None:
        """Kill one of those that can be spared, if there is one."""
        whole = {deployment for deployment in REPLICATED if _is_whole(deployment)}
        spare = {name: replica_processes(name) for name in whole & self._whole}
        num_replicas = sum(self.killed.count(name) for name in REPLICATED)
        for name, title in SINGLE.items():
            if self.killed.count(name) <= num_replicas:
                spare[name] = processes(title)
        self._whole = whole
        names = [name for name, found in spare.items() if found]
        if not names:
            return
        name = self._random.choice(names)
        try:
            self._random.choice(spare[name]).kill()
        except psutil.NoSuchProcess:
            return
        self._whole.discard(name)
        self.killed.append(name)


@contextmanager
def killing(every_s: float, seed: int = 0) -> Iterator[Killer]:
    """A killer at work for as long as a block runs."""
    killer, over = Killer(seed), threading.Event()

    def work() -> None:
        while not over.wait(every_s):
            killer.strike()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield killer
    finally:
        over.set()
        thread.join()


def _is_whole(deployment: str) -> bool:
    """Whether both replicas run, as Serve sees it and as the machine does."""
    if len(replica_processes(deployment)) < 2:
        return False
    try:
        application = serve.status().applications[ROUTER_APPLICATION]
    except (RayError, KeyError, TimeoutError):  # the Serve controller itself is starting again
        return False
    return application.deployments[deployment].replica_states.get("RUNNING", 0) == 2
