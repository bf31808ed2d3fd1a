"""Metrics as a Prometheus server would read them."""

import asyncio
import math
import random
import re

import pytest

from serve_app.observe.instruments import METRICS
from serve_app.observe.request_metrics import Metrics, Readings, sample_regularly
from tests.support.serve_app.observe_parts import (
    PrometheusInstruments,
    make_record,
    make_state,
)

# What dashboards and alerts of users rely on: (kind, labels) by name. Adding is free; changing or
# removing a line breaks them.
CONTRACT = {
    "modelsat_requests_total": ("counter", {"endpoint", "model", "status"}),
    "modelsat_errors_total": ("counter", {"endpoint", "code"}),
    "modelsat_rejected_total": ("counter", {"endpoint", "code"}),
    "modelsat_request_duration_seconds": ("histogram", {"endpoint", "model"}),
    "modelsat_time_to_first_byte_seconds": ("histogram", {"endpoint", "model"}),
    "modelsat_routing_overhead_seconds": ("histogram", {"endpoint", "routed"}),
    "modelsat_routing_duration_seconds": ("histogram", set()),
    "modelsat_attempts_total": ("counter", {"model", "outcome"}),
    "modelsat_upstream_duration_seconds": ("histogram", {"model"}),
    "modelsat_fallbacks_total": ("counter", {"from_model", "kind"}),
    "modelsat_selections_total": ("counter", {"model", "reason"}),
    "modelsat_selection_confidence": ("histogram", set()),
    "modelsat_tokens_total": ("counter", {"model", "direction"}),
    "modelsat_cost_usd_total": ("counter", {"model"}),
    "modelsat_in_flight": ("gauge", set()),
    "modelsat_queued": ("gauge", set()),
    "modelsat_candidate_state": ("gauge", {"model"}),
    "modelsat_score_cache_hits_total": ("counter", set()),
    "modelsat_score_cache_misses_total": ("counter", set()),
    "modelsat_active_sessions": ("gauge", set()),
    "modelsat_zoo_version": ("gauge", set()),
    "modelsat_routing_log_dropped_total": ("counter", set()),
    "modelsat_scorer_batch_size": ("histogram", set()),
    "modelsat_scorer_duration_seconds": ("histogram", set()),
}


@pytest.fixture
def instruments():
    return PrometheusInstruments()


@pytest.fixture
def metrics(instruments):
    state = make_state(1, "small", "large")
    return Metrics(lambda: state, ["auto", "auto-cheap"], instruments)


def test_names_kinds_and_labels_do_not_change():
    assert {m.name: (m.kind, set(m.labels)) for m in METRICS} == CONTRACT


def test_names_follow_the_conventions_of_prometheus():
    for metric in METRICS:
        assert re.fullmatch(r"modelsat_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert bool(metric.buckets) == (metric.kind == "histogram")


def test_a_request_with_a_fallback_updates_every_metric(metrics, instruments):
    metrics.finished(make_record())
    value = instruments.value
    assert value("modelsat_requests_total", endpoint="chat", model="large", status="200") == 1
    assert value("modelsat_attempts_total", model="small", outcome="timeout") == 1
    assert value("modelsat_attempts_total", model="large", outcome="answered") == 1
    assert value("modelsat_fallbacks_total", from_model="small", kind="timeout") == 1
    fallbacks = [one for name, one in instruments.series() if name == "modelsat_fallbacks_total"]
    assert len(fallbacks) == 1  # the candidate that answered was not skipped
    # The candidate that was chosen, not the fallback.
    assert value("modelsat_selections_total", model="small", reason="highest_score") == 1
    assert value("modelsat_tokens_total", model="large", direction="input") == 100
    assert value("modelsat_tokens_total", model="large", direction="output") == 20
    assert value("modelsat_cost_usd_total", model="large") == pytest.approx(0.002)
    labels = {"endpoint": "chat", "model": "large"}
    assert value("modelsat_request_duration_seconds_sum", **labels) == pytest.approx(2.0)
    assert value("modelsat_time_to_first_byte_seconds_sum", **labels) == pytest.approx(0.5)
    overhead = {"endpoint": "chat", "routed": "true"}
    assert value("modelsat_routing_overhead_seconds_sum", **overhead) == pytest.approx(0.125)
    assert value("modelsat_routing_duration_seconds_sum") == pytest.approx(0.0625)
    assert value("modelsat_upstream_duration_seconds_sum", model="small") == pytest.approx(0.25)
    assert value("modelsat_selection_confidence_bucket", le="0.8") == 1
    assert value("modelsat_selection_confidence_bucket", le="0.7") == 0
    assert not any(name.startswith("modelsat_errors") for name, _ in instruments.series())


def test_a_refusal_counts_as_rejected_and_not_as_a_selection(metrics, instruments):
    refused = {"candidate": None, "reason": None, "confidence": None, "attempts": []}
    metrics.finished(make_record(**refused, status=503, error_code="overloaded", first_byte_s=None))
    value = instruments.value
    assert value("modelsat_requests_total", endpoint="chat", model="auto", status="503") == 1
    assert value("modelsat_errors_total", endpoint="chat", code="overloaded") == 1
    assert value("modelsat_rejected_total", endpoint="chat", code="overloaded") == 1
    assert not any(name.startswith("modelsat_selections") for name, _ in instruments.series())


def test_a_selection_counts_even_if_no_candidate_answers(metrics, instruments):
    attempts = [("small", "timeout", 0.25), ("large", "unreachable", 0.125)]
    metrics.finished(
        make_record(candidate=None, attempts=attempts, status=503, error_code="upstream_failed")
    )
    value = instruments.value
    assert value("modelsat_selections_total", model="small", reason="highest_score") == 1
    assert value("modelsat_fallbacks_total", from_model="small", kind="timeout") == 1
    assert not any(name.startswith("modelsat_rejected") for name, _ in instruments.series())


def test_a_candidates_own_503_is_an_error_but_not_a_rejection(metrics, instruments):
    metrics.finished(make_record(status=503, error_code="overloaded"))
    assert instruments.value("modelsat_errors_total", endpoint="chat", code="overloaded") == 1
    assert instruments.value("modelsat_rejected_total", endpoint="chat", code="overloaded") is None


def test_five_thousand_unknown_models_add_no_series(metrics, instruments):
    rng = random.Random(18)

    def hostile(number):
        word = f"model-{rng.random()}"
        return make_record(
            endpoint=f"{word}/endpoint",
            requested=word,
            candidate=None,
            reason=f"because-{word}",
            attempts=[],
            status=number % 1000 + 5,
            error_code="model_not_found",
            first_byte_s=None,
        )

    for number in range(1000):
        metrics.finished(hostile(number))
    before = instruments.series()
    for number in range(5000):
        metrics.finished(hostile(number))
    assert instruments.series() == before
    labels = [dict(labels) for name, labels in before if name == "modelsat_requests_total"]
    assert {one["model"] for one in labels} == {"other"}
    assert {one["endpoint"] for one in labels} == {"other"}


def test_labels_from_candidates_are_bounded(metrics, instruments):
    for number in range(500):
        metrics.finished(make_record(status=400, error_code=f"code-{number}", reason=f"r{number}"))
    labels = [dict(labels) for _, labels in instruments.series()]
    assert len({one["code"] for one in labels if "code" in one}) <= 65
    assert len({one["reason"] for one in labels if "reason" in one}) <= 65
    assert instruments.value("modelsat_errors_total", endpoint="chat", code="other") > 400


def test_labels_follow_the_zoo(instruments):
    states = [make_state(1, "small", "large")]
    metrics = Metrics(lambda: states[-1], ["auto"], instruments)
    metrics.finished(make_record())
    states.append(make_state(2, "small", "newcomer"))
    metrics.finished(make_record(candidate="newcomer"))
    metrics.finished(make_record(candidate="large"))

    def requests(model):
        return instruments.value(
            "modelsat_requests_total", endpoint="chat", model=model, status="200"
        )

    assert (requests("large"), requests("newcomer"), requests("other")) == (1, 1, 1)


def test_readings_set_gauges_and_advance_counters(instruments):
    states = [make_state(7, "small", "large")]
    metrics = Metrics(lambda: states[-1], ["auto"], instruments)
    metrics.sample(Readings(3, 2, 10, 5, candidate_states={"large": 2}))
    metrics.sample(Readings(1, 0, 12, 5, 9, candidate_states={"large": 1}))
    value = instruments.value
    assert value("modelsat_in_flight") == 1
    assert value("modelsat_queued") == 0
    assert value("modelsat_zoo_version") == 7
    assert value("modelsat_score_cache_hits_total") == 12
    assert value("modelsat_score_cache_misses_total") == 5
    assert value("modelsat_routing_log_dropped_total") == 9
    assert value("modelsat_candidate_state", model="large") == 1
    assert value("modelsat_candidate_state", model="small") == 0
    states.append(make_state(8, "small"))
    metrics.sample(Readings())
    assert math.isnan(value("modelsat_candidate_state", model="large"))
    assert value("modelsat_candidate_state", model="small") == 0


def test_gauges_are_set_until_the_task_is_cancelled(metrics, instruments):
    readings = iter(range(1, 1000))
    third = asyncio.Event()

    def read():
        number = next(readings)
        if number == 3:
            third.set()
        return Readings(in_flight=number)

    async def run():
        task = asyncio.create_task(sample_regularly(metrics, read, interval_s=0.001))
        await third.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert instruments.value("modelsat_in_flight") >= 2
