"""More requests than the endpoint can take, and many that fail: it refuses, recovers, and keeps."""

import pytest

from tests.support.serve_app.failing_requests import (
    FAILING,
    MAX_GROWTH_BYTES,
    REFUSING,
    footprint,
    half_failing,
)
from tests.support.serve_app.fleet import NAMES, NUM_PLACES
from tests.support.serve_app.reliability import (
    Endpoint,
    replica_processes,
)
from tests.support.serve_app.reliability_load import (
    REFUSED,
    closed_load,
    ramp,
    statuses,
    throughput,
    timed_load,
    watched_health,
)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.alone,
    pytest.mark.timeout(600),
]

STEP_S = 2


def test_every_request_is_answered_or_refused_when_more_ask(
    endpoint: Endpoint, record_testsuite_property
):
    for concurrency, per_s in throughput(endpoint, STEP_S).items():
        record_testsuite_property(f"requests_per_s_of_{concurrency}", per_s)


def test_what_is_too_much_is_refused_and_the_rest_is_answered(endpoint: Endpoint):
    for name in NAMES:
        endpoint.fleet[name].behave(latency_s=0.2)
    with watched_health(endpoint) as probes:
        replies = timed_load(endpoint, [0.0] * 200)
    counted = statuses(replies)
    assert set(counted) == {200, 503}, counted
    assert counted[200] >= 2 * NUM_PLACES
    refused = [reply for reply in replies if reply.status == 503]
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert all(b'"queue_full"' in reply.body for reply in refused)
    assert probes
    assert {status for status, _ in probes} == {200}
    # All places and all of the queue are free again.
    again = timed_load(endpoint, [0.0] * 2 * NUM_PLACES)
    assert statuses(again) == {200: 2 * NUM_PLACES}


LOADS = {
    "constant": list(ramp(20, 20, 5)),
    "ramp": list(ramp(5, 40, 6)),
    "burst": list(ramp(80, 80, 4)),
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
