"""More requests than the endpoint can take, and many that fail: it refuses, recovers, and keeps."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from tests.support.serve_app.failing_requests import (
    FAILING,
    MAX_GROWTH_BYTES,
    NAMES,
    REFUSING,
    footprint,
    half_failing,
)
from tests.support.serve_app.reliability import (
    Endpoint,
    replica_processes,
    serving,
)
from tests.support.serve_app.reliability_load import (
    REFUSED,
    check_throughput,
    closed_load,
    ramp,
    statuses,
    timed_load,
)
from tests.support.serve_app.served import Artifacts

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning"),
]

NUM_PLACES = 32  # and as many requests may wait for one
STEP_S = 4


@pytest.fixture(scope="module")
def unsettled(
    artifacts: Artifacts, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    ingress = {"max_in_flight": NUM_PLACES, "max_queued": NUM_PLACES, "queue_timeout_s": 5}
    with serving(
        tmp_path_factory.mktemp("load"), artifacts.router, NAMES, ingress=ingress
    ) as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(unsettled: Endpoint) -> Endpoint:
    unsettled.settle()
    return unsettled


def test_throughput_holds_when_more_ask(endpoint: Endpoint, record_testsuite_property):
    check_throughput(endpoint, STEP_S, record_testsuite_property)


@contextmanager
def watched_health(endpoint: Endpoint) -> Iterator[list[float]]:
    """Seconds that each answer of the liveness probe took, one probe every 50 ms."""
    durations_s: list[float] = []
    over = threading.Event()
    url = f"{endpoint.config.url.removesuffix('/v1')}/health/live"

    def watch() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not over.wait(0.05):
                started_s = time.monotonic()
                assert client.get(url).status_code == 200
                durations_s.append(time.monotonic() - started_s)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield durations_s
    finally:
        over.set()
        thread.join()


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_answered(
    endpoint: Endpoint, record_testsuite_property
):
    for name in NAMES:
        endpoint.fleet[name].behave(latency_s=0.2)
    with watched_health(endpoint) as probes_s:
        replies = timed_load(endpoint, [0.0] * 200)
    counted = statuses(replies)
    assert set(counted) == {200, 503}, counted
    assert counted[200] >= 2 * NUM_PLACES
    refused = [reply for reply in replies if reply.status == 503]
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert all(b'"queue_full"' in reply.body for reply in refused)
    record_testsuite_property("health_p95_ms", float(1000 * np.percentile(probes_s, 95)))
    assert np.percentile(probes_s, 95) < 1.5
    # All places and all of the queue are free again.
    again = timed_load(endpoint, [0.0] * 2 * NUM_PLACES)
    assert statuses(again) == {200: 2 * NUM_PLACES}


LOADS = {
    "constant": list(ramp(20, 20, 10)),
    "ramp": list(ramp(5, 40, 10)),
    "burst": list(ramp(80, 80, 5)),
}


@pytest.mark.parametrize("shape", LOADS)
def test_answers_to_loads_of_different_shape(endpoint: Endpoint, shape: str):
    for name in NAMES:
        endpoint.fleet[name].behave(latency_s=0.05)
    replies = timed_load(endpoint, LOADS[shape])
    counted = statuses(replies)
    assert len(replies) == len(LOADS[shape])
    if shape == "burst":
        assert set(counted) <= {200, *REFUSED}, counted
    else:
        assert counted[200] >= 0.99 * len(replies), counted
    assert statuses(closed_load(endpoint, 1, num_requests=3)) == {200: 3}


def test_memory_and_files_do_not_grow_with_failing_requests(
    endpoint: Endpoint, record_testsuite_property
):
    endpoint.fleet[FAILING].behave(status=500)
    endpoint.fleet[REFUSING].behave(fault="context_length")
    watched = [*replica_processes("Ingress"), *replica_processes("Scorer")]
    assert len(watched) == 2
    assert 500 not in statuses(closed_load(endpoint, 20, num_requests=200, make=half_failing))
    before_bytes, files_before = footprint(watched)
    replies = closed_load(endpoint, 20, num_requests=600, make=half_failing)
    counted = statuses(replies)
    assert counted == {200: 300, 400: 150, 503: 150}
    after_bytes, files_after = footprint(watched)
    record_testsuite_property("growth_bytes", after_bytes - before_bytes)
    assert after_bytes - before_bytes < MAX_GROWTH_BYTES
    assert files_after <= files_before + 20  # pooled connections of as many askers
