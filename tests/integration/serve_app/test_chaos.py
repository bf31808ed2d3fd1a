"""Processes of the endpoint are killed at random while requests come in."""

import time
from collections import Counter

import pytest
from ray import serve

from serve_app.builder import ROUTER_APPLICATION
from tests.support.serve_app.chaos import REPLICATED, killing
from tests.support.serve_app.reliability import Endpoint, processes, serving, until
from tests.support.serve_app.reliability_load import closed_load, mixed, steady_load
from tests.support.serve_app.served import Artifacts
from tests.support.serve_app.stage import Stage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.alone,
    pytest.mark.timeout(600),
]

NAMES = ("alder", "birch", "cedar")
NUM_REQUESTS = 200  # 20 s of them


@pytest.fixture(scope="module")
def endpoint(
    artifacts: Artifacts, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Endpoint:
    two = {"num_replicas": 2, "num_cpus": 0.5}
    replicas = {"ingress": two, "scorer": {**two, "num_threads": 1}}
    root = tmp_path_factory.mktemp("chaos")
    endpoint = stage.get("chaos", lambda: serving(root, artifacts.router, NAMES, **replicas))
    endpoint.settle()
    return endpoint


def test_requests_are_answered_while_processes_are_killed(
    endpoint: Endpoint, record_testsuite_property
):
    with steady_load(endpoint, 10, mixed, num_retries=1) as load:
        load.wait_for(20)
        with killing(every_s=2) as killer:
            load.wait_for(NUM_REQUESTS)
        load.wait_for(20)
    killed = Counter(killer.killed)
    record_testsuite_property("killed", dict(killed))
    assert killed.total() >= 3
    assert any(killed[name] for name in REPLICATED)
    num_good = sum(reply.is_good for reply in load.replies)
    record_testsuite_property("success_fraction", num_good / len(load.replies))
    record_testsuite_property("num_retried", sum(reply.num_retries for reply in load.replies))
    failed = Counter(reply.status for reply in load.replies if not reply.is_good)
    assert num_good >= 0.98 * len(load.replies), (failed, killed)
    until(states, is_whole, timeout_s=240)
    assert [endpoint.ask().status_code for _ in range(3)] == [200] * 3


def test_the_endpoint_returns_when_the_proxy_of_its_machine_dies(
    endpoint: Endpoint, record_testsuite_property
):
    found = processes("haproxy -dS -db")
    assert found
    for process in found:
        process.kill()
    killed_s = time.monotonic()
    until(lambda: have_three_answers(endpoint), bool, timeout_s=180)
    record_testsuite_property("proxy_back_after_s", time.monotonic() - killed_s)


def have_three_answers(endpoint: Endpoint) -> bool:
    replies = closed_load(endpoint, 1, num_requests=3)
    return all(reply.status == 200 for reply in replies)


def states() -> dict[str, dict[str, int]]:
    """Replicas of each deployment by state, as Serve sees them."""
    application = serve.status().applications[ROUTER_APPLICATION]
    return {name: d.replica_states for name, d in application.deployments.items()}


def is_whole(seen: dict[str, dict[str, int]]) -> bool:
    """Whether Serve has replaced all that was killed."""
    return all(set(replicas) == {"RUNNING"} for replicas in seen.values())
