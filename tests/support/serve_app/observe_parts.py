"""Records, a zoo that changes, and instruments that Prometheus' own client keeps."""

from collections.abc import Mapping
from typing import Any

import prometheus_client as prometheus

from modelsat.zoo.zoo_file import Zoo
from serve_app.contracts.request_record import RequestRecord
from serve_app.contracts.zoo_state import ZooState
from serve_app.observe.instruments import Metric


class PrometheusInstruments:
    """Instruments whose values can be read back; refuses labels that were not declared."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()

    def make(self, metric: Metric) -> "_Instrument":
        if metric.kind == "counter":
            made: Any = prometheus.Counter(
                metric.name, metric.description, metric.labels, registry=self.registry
            )
            return _Instrument(made, "inc")
        if metric.kind == "gauge":
            made = prometheus.Gauge(
                metric.name, metric.description, metric.labels, registry=self.registry
            )
            return _Instrument(made, "set")
        made = prometheus.Histogram(
            metric.name,
            metric.description,
            metric.labels,
            buckets=metric.buckets,
            registry=self.registry,
        )
        return _Instrument(made, "observe")

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def series(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return {
            (sample.name, frozenset(sample.labels.items()))
            for family in self.registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


class _Instrument:
    def __init__(self, made: Any, method: str) -> None:
        self._made, self._method = made, method

    def record(self, value: float, labels: Mapping[str, str]) -> None:
        target = self._made.labels(**labels) if labels else self._made
        getattr(target, self._method)(value)


def make_state(version: int, *names: str) -> ZooState:
    candidates = [
        {
            "engine": "openai",
            "name": name,
            "base_url": "http://127.0.0.1:9/v1",
            "model": name,
            "context_window": 4096,
        }
        for name in names
    ]
    zoo = Zoo.model_validate({"version": 1, "candidates": candidates})
    return ZooState(version=version, zoo=zoo, cards=(), router="router")


def make_record(**changes: Any) -> RequestRecord:
    """A routed chat request that the second candidate asked answered, as a stream."""
    values: dict[str, Any] = {
        "request_id": "request-1",
        "endpoint": "chat",
        "started_s": 100.0,
        "received_at": 1_700_000_000.0,
        "requested": "auto",
        "routed": True,
        "stream": True,
        "key": "team-a",
        "session": True,
        "candidate": "large",
        "reason": "highest_score",
        "confidence": 0.75,
        "scores": {"small": 0.75, "large": 0.5},
        "zoo_version": 3,
        "prompt_hash": "ab" * 32,
        "attempts": [("small", "timeout", 0.25), ("large", "answered", 0.125)],
        "routing_s": 0.0625,
        "upstream_s": 0.375,
        "first_byte_s": 100.5,
        "ended_s": 102.0,
        "status": 200,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cost_usd": 0.002,
    }
    return RequestRecord(**{**values, **changes})
