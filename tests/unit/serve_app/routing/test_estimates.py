import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.zoo.candidate import Price
from serve_app.contracts.request_record import RequestRecord
from serve_app.routing.estimates import Estimates

PRICE = Price(input_usd_per_mtok=2.0, output_usd_per_mtok=10.0)


def record(candidate="a", completion_tokens=100, latency_s=2.0, status=200, **fields):
    return RequestRecord(
        request_id="r",
        endpoint=fields.pop("endpoint", "chat"),
        started_s=50.0,
        received_at=0.0,
        candidate=candidate,
        ended_s=50.0 + latency_s,
        completion_tokens=completion_tokens,
        status=status,
        **fields,
    )


def test_without_observations_the_estimate_is_the_prior():
    estimates = Estimates()
    assert estimates.completion_tokens("a") == 256
    assert estimates.latency_s("a") is None


def test_the_prior_counts_like_one_answer():
    estimates = Estimates()
    estimates.finished(record(completion_tokens=56, latency_s=2.0))
    estimates.finished(record(completion_tokens=78, latency_s=4.0))
    assert estimates.completion_tokens("a") == pytest.approx((256 + 56 + 78) / 3)
    assert estimates.latency_s("a") == pytest.approx(3.0)


def test_old_answers_fade():
    estimates = Estimates()
    for _ in range(500):
        estimates.finished(record(completion_tokens=1000, latency_s=9.0))
    for _ in range(200):
        estimates.finished(record(completion_tokens=10, latency_s=1.0))
    assert estimates.completion_tokens("a") == pytest.approx(10, abs=0.1)
    assert estimates.latency_s("a") == pytest.approx(1.0, abs=0.01)


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0.01, 100)), min_size=1))
def test_an_estimate_lies_between_the_observed_values(answers):
    estimates = Estimates()
    for tokens, latency_s in answers:
        estimates.finished(record(completion_tokens=tokens, latency_s=latency_s))
    tokens, latencies = zip(*answers, strict=True)
    assert min(256, *tokens) <= estimates.completion_tokens("a") + 1e-6
    assert estimates.completion_tokens("a") <= max(256, *tokens) + 1e-6
    assert min(latencies) - 1e-6 <= estimates.latency_s("a") <= max(latencies) + 1e-6


@pytest.mark.parametrize(
    "unanswered",
    [
        record(status=503),
        record(status=499),
        record(error_code="stream_timeout", completion_tokens=None),
        record(endpoint="embeddings", completion_tokens=None),
        record(candidate=None),
    ],
)
def test_requests_without_an_answer_change_no_estimate(unanswered):
    estimates = Estimates()
    estimates.finished(unanswered)
    assert (estimates.completion_tokens("a"), estimates.latency_s("a")) == (256, None)


def test_an_answer_without_usage_updates_only_the_latency():
    estimates = Estimates()
    estimates.finished(record(completion_tokens=None, latency_s=2.0))
    estimates.finished(record(completion_tokens=56, latency_s=4.0))
    assert estimates.completion_tokens("a") == pytest.approx((256 + 56) / 2)
    assert estimates.latency_s("a") == pytest.approx(3.0)


def test_a_removed_candidate_is_forgotten():
    estimates = Estimates()
    for name in ("a", "b"):
        estimates.finished(record(name))
    estimates.keep_only(["b"])
    assert estimates.latency_s("a") is None
    assert estimates.latency_s("b") == 2.0


def test_the_cost_covers_the_prompt_and_the_expected_answer():
    estimates = Estimates()
    assert estimates.cost_usd("a", PRICE, 1000) == pytest.approx((2 * 1000 + 10 * 256) / 1e6)
    assert estimates.cost_usd("a", PRICE, 1000, 16) == pytest.approx((2 * 1000 + 10 * 16) / 1e6)
    assert estimates.cost_usd("a", None, 1000) is None
