"""Metrics of scorer replicas and of the session store."""

import pytest

from serve_app.observe.part_metrics import MeasuredSessions, ScorerMetrics
from serve_app.routing.sessions import SessionStore
from tests.support.serve_app.observe_parts import PrometheusInstruments


@pytest.fixture
def instruments():
    return PrometheusInstruments()


def test_a_scorers_passes_are_counted(instruments):
    scorer = ScorerMetrics(instruments)
    scorer.scored(3, 0.015)
    scorer.scored(1, 0.005)
    assert instruments.value("modelsat_scorer_batch_size_bucket", le="1.0") == 1
    assert instruments.value("modelsat_scorer_batch_size_sum") == 4
    assert instruments.value("modelsat_scorer_duration_seconds_sum") == pytest.approx(0.02)


def test_stored_sessions_are_counted(instruments):
    moment = [0.0]
    store = SessionStore(ttl_s=10, max_sessions=2, clock=lambda: moment[0])
    sessions = MeasuredSessions(store, instruments)
    for name in ("a", "b", "c"):
        sessions.put(name, "small")
    assert instruments.value("modelsat_active_sessions") == 2
    assert sessions.get("c") == "small"
    moment[0] = 60.0
    sessions.put("d", "small")
    assert instruments.value("modelsat_active_sessions") == 1
