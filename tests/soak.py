"""The long reliability run: ``python -m tests.soak --minutes 30`` (and 6 minutes before it).

A zoo of fake upstreams is served on a Ray cluster of its own, with two replicas of ingress and
scorer. The scenarios of ``test_reliability_*.py`` whose tests are short run at their full length
first, then 10 requests per second for as long as asked, with a process killed every minute. Exit
code 1 when a goal is missed.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import ray

with warnings.catch_warnings():
    # Ray 2.60 declares its settings in a way that pydantic 2 calls deprecated.
    warnings.filterwarnings("ignore", message="Using extra keyword arguments on `Field`")
    from tests.support.serve_app.chaos import REPLICATED, killing

from serve_app.throughput import single_machine_environment
from tests.support.serve_app.failing_requests import (
    FAILING,
    MAX_GROWTH_BYTES,
    NAMES,
    REFUSING,
    footprint,
    half_failing,
)
from tests.support.serve_app.reliability import Endpoint, replica_processes, serving
from tests.support.serve_app.reliability_load import (
    REFUSED,
    Reply,
    closed_load,
    distinct,
    mixed,
    ramp,
    statuses,
    steady_load,
    throughput,
    timed_load,
    watched_health,
)
from tests.support.serve_app.tiny_artifacts import write_router

_SETTLED_AFTER_S = 60  # a process has loaded and warmed up what it uses by then


@dataclass(frozen=True)
class Goal:
    """What was to be shown, what was seen, and whether that is enough."""

    name: str
    seen: str
    is_met: bool


def loads(endpoint: Endpoint) -> Iterator[Goal]:
    """Constant load, a ramp and a burst."""
    shapes = {
        "20 requests/s for 60 s": list(ramp(20, 20, 60)),
        "5 to 40 requests/s in 60 s": list(ramp(5, 40, 60)),
    }
    for name, offsets_s in shapes.items():
        replies = timed_load(endpoint, offsets_s)
        share = _good_fraction(replies)
        yield Goal(name, f"{share:.2%} answered; at least 99%", share >= 0.99)
    per_s = list(throughput(endpoint, 5).values())
    kept = min(rate / max(per_s[: index + 1]) for index, rate in enumerate(per_s))
    yield Goal("1 to 50 ask at a time", f"{kept:.0%} of the best rate; at least 70%", kept >= 0.7)
    with watched_health(endpoint) as probes:
        timed_load(endpoint, [0.0] * 200)
    p95_s = float(np.percentile([duration_s for _, duration_s in probes], 95))
    seen = f"95% of liveness probes below {p95_s:.2f} s; at most 1.5 s"
    yield Goal("200 requests at once", seen, p95_s <= 1.5)
    counted = statuses(timed_load(endpoint, ramp(80, 80, 10)))
    is_met = set(counted) <= {200, *REFUSED}
    yield Goal("80 requests/s for 10 s", f"{dict(counted)}; answers or refusals only", is_met)


def often_killed(endpoint: Endpoint) -> Iterator[Goal]:
    """A process killed every 2 s, for a minute."""
    with steady_load(endpoint, 10, mixed, num_retries=1) as load, killing(every_s=2) as killer:
        load.wait_for(600)
    share = _good_fraction(load.replies)
    seen = f"{share:.2%} answered, {len(killer.killed)} kills; at least 98%"
    yield Goal("a process killed every 2 s for 60 s", seen, share >= 0.98)


def broken_streams(endpoint: Endpoint) -> Iterator[Goal]:
    """Seconds until a stream ends whose candidate closes the connection, or falls silent."""
    for fault, at_most_s in (("close", 6), ("stall", 8)):
        for name in NAMES:
            endpoint.fleet[name].behave(num_tokens=40, fault=fault, after_chunks=5)
        started_s = time.monotonic()
        text = endpoint.ask(stream=True).text
        took_s = time.monotonic() - started_s
        endpoint.settle()
        seen = f"{took_s:.1f} s; at most {at_most_s} s"
        is_met = took_s <= at_most_s and "[DONE]" not in text
        yield Goal(f"a stream whose candidate's answer ends in: {fault}", seen, is_met)


def memory(endpoint: Endpoint) -> Iterator[Goal]:
    """Half of 2,000 requests fail, 20 at a time."""
    endpoint.fleet[FAILING].behave(status=500)
    endpoint.fleet[REFUSING].behave(fault="context_length")
    closed_load(endpoint, 20, num_requests=400, make=half_failing)
    watched = [process for name in REPLICATED for process in replica_processes(name)]
    before_bytes, _ = footprint(watched)
    closed_load(endpoint, 20, num_requests=2000, make=half_failing)
    growth_bytes = footprint(watched)[0] - before_bytes
    endpoint.settle()
    seen = f"{growth_bytes / 2**20:.1f} MiB more; less than 64"
    yield Goal("memory after 2,000 requests, half failing", seen, growth_bytes < MAX_GROWTH_BYTES)


def soak(endpoint: Endpoint, minutes: float) -> Iterator[Goal]:
    """Mixed requests, a process killed every minute, memory watched."""
    growths = _Growths()
    with steady_load(endpoint, 10, mixed, num_retries=1) as load, killing(every_s=60) as killer:
        deadline = time.monotonic() + 60 * minutes
        while time.monotonic() < deadline:
            time.sleep(10)
            growths.look()
    share = _good_fraction(load.replies)
    seen = f"{share:.3%} of {len(load.replies)} answered, {len(killer.killed)} kills"
    yield Goal(f"{minutes:g} minutes", f"{seen}; at least 99.9%", share >= 0.999)
    seen = f"{growths.largest_bytes / 2**20:.1f} MiB in one process; less than 64"
    yield Goal("growth of memory", seen, growths.largest_bytes < MAX_GROWTH_BYTES)


class _Growths:
    """How much processes grow after their first minute; a restarted process is measured again."""

    def __init__(self) -> None:
        self._first_bytes: dict[int, int] = {}
        self.largest_bytes = 0

    def look(self) -> None:
        for name in REPLICATED:
            for process in replica_processes(name):
                try:
                    age_s = time.time() - process.create_time()
                    size_bytes = process.memory_info().rss
                except psutil.Error:
                    continue
                if age_s > _SETTLED_AFTER_S:
                    first_bytes = self._first_bytes.setdefault(process.pid, size_bytes)
                    self.largest_bytes = max(self.largest_bytes, size_bytes - first_bytes)


def _good_fraction(replies: list[Reply]) -> float:
    return sum(reply.is_good for reply in replies) / len(replies)


def main() -> int:
    """Run everything; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="length of the last part")
    minutes = parser.parse_args().minutes
    os.environ.update(single_machine_environment())
    ray.init(address="local", num_cpus=16, include_dashboard=False, log_to_driver=False)
    num_missed = 0
    two = {"num_replicas": 2, "num_cpus": 0.5}
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            router = write_router(root / "router", root / "scratch")
            scorer = {**two, "num_threads": 1}
            with serving(root, router, NAMES, ingress=two, scorer=scorer) as endpoint:
                endpoint.settle()
                closed_load(endpoint, 5, num_requests=100, make=distinct)
                for part in (
                    loads,
                    often_killed,
                    broken_streams,
                    memory,
                    lambda e: soak(e, minutes),
                ):
                    for goal in part(endpoint):
                        num_missed += not goal.is_met
                        verdict = "met   " if goal.is_met else "MISSED"
                        print(f"{verdict} {goal.name}: {goal.seen}", flush=True)  # noqa: T201
    finally:
        ray.shutdown()
    return 1 if num_missed else 0


if __name__ == "__main__":
    sys.exit(main())
