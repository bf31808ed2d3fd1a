"""What a Prometheus server finds on a node's metrics port, without a dashboard."""

import time

import pytest
import ray

from serve_app.observe.instruments import METRICS
from serve_app.observe.part_metrics import MeasuredSessions, ScorerMetrics
from serve_app.observe.request_metrics import Metrics, Readings
from serve_app.routing.sessions import SessionStore
from tests.support.serve_app.exported_metrics import exported
from tests.support.serve_app.observe_parts import make_record, make_state

pytestmark = pytest.mark.ray

DEADLINE_S = 90  # Ray exports every 10 s


class Replica:
    """Does once whatever is measured."""

    def serve(self):
        self._state = make_state(7, "small", "large")
        self._metrics = Metrics(lambda: self._state, ["auto"])
        self._metrics.finished(make_record())
        self._metrics.finished(
            make_record(status=503, error_code="overloaded", attempts=[], first_byte_s=None)
        )
        self._metrics.sample(Readings(3, 1, 5, 2, 4, {"large": 2}))
        ScorerMetrics().scored(4, 0.01)
        MeasuredSessions(SessionStore(60, 10)).put("session", "small")
        return ray.get_runtime_context().get_worker_id()


def test_every_metric_is_exported_under_its_name(ray_cluster):
    replica = ray.remote(num_cpus=0)(Replica).remote()
    worker = ray.get(replica.serve.remote())
    wanted = {
        f"ray_{metric.name}" + ("_bucket" if metric.kind == "histogram" else "")
        for metric in METRICS
    }
    deadline = time.monotonic() + DEADLINE_S
    samples = []
    while not wanted <= {name for name, _, _ in samples} and time.monotonic() < deadline:
        time.sleep(0.5)
        # Other replicas of this session may have left samples of the same names.
        samples = [sample for sample in exported() if sample[1]["WorkerId"] == worker]
    assert wanted - {name for name, _, _ in samples} == set()

    def value(name, **labels):
        return [v for n, found, v in samples if n == name and labels.items() <= found.items()]

    requests = "ray_modelsat_requests_total"
    assert value(requests, endpoint="chat", model="large", status="200") == [1.0]
    assert value("ray_modelsat_candidate_state", model="large") == [2.0]
    assert value("ray_modelsat_zoo_version") == [7.0]
    assert value("ray_modelsat_cost_usd_total", model="large") == pytest.approx([0.004])
    assert value("ray_modelsat_routing_overhead_seconds_count", routed="true") == [1.0]
    # The overhead was 0.125 s: in the bucket up to 0.25, not in that up to 0.12.
    overhead = "ray_modelsat_routing_overhead_seconds_bucket"
    assert value(overhead, routed="true", le="0.12") == [0.0]
    assert value(overhead, routed="true", le="0.25") == [1.0]
    ray.kill(replica)
