import asyncio
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.constraints import Constraints
from serve_app.contracts.request_record import RequestRecord
from serve_app.contracts.scores import StatementNote
from serve_app.routing.estimates import Estimates
from serve_app.routing.explanation import pareto_flags
from tests.support.serve_app.small_zoo import (
    FakeScorer,
    Surroundings,
    candidate,
    make_router,
    make_state,
    request,
)

ZOO = [
    candidate("best", cost=9),
    candidate("cheap", cost=1),
    candidate("poor", cost=2),
    candidate("blind", cost=None, endpoints=("completions",)),
    candidate("pinned"),
]
SCORES = {"best": 0.75, "cheap": 0.5, "poor": 0.25, "blind": 0.875}
NOTE = StatementNote("sums", 0.5, 0.75, 20)


def explain(router_dir, asked=None, scores=SCORES, estimates=None, surroundings=None, top_k=1):
    async def run():
        scorer = FakeScorer(scores)
        scorer.statements = {"best": (NOTE, NOTE)}
        state = make_state(router_dir, ZOO, without_card=("pinned",))
        router = await make_router(state, scorer, surroundings, estimates=estimates)
        return await router.explain(asked or request("x" * 60), top_k)

    return asyncio.run(run())


def test_the_document_states_the_chosen_model_and_the_reason(router_dir):
    shown = explain(router_dir)
    assert shown["selected_model"] == "best"
    assert shown["model_names"] == ["best", "cheap", "poor", "blind"]
    assert shown["confidences"] == [0.75, 0.5, 0.25, 0.875]
    assert shown["costs"] == [9, 1, 2, None]
    assert (shown["reason"], shown["zoo_version"]) == ("highest_score", 1)
    assert shown["metadata"] == {
        "order": ["best", "cheap", "poor"],
        "cost_unit": "usd_per_mtok",
        "prompt_tokens": 75,
    }
    json.dumps(shown, allow_nan=False)


def by_name(shown):
    return {entry["model"]: entry for entry in shown["candidates"]}


def test_every_candidate_is_described(router_dir):
    entries = by_name(explain(router_dir))
    assert entries["best"] == {
        "model": "best",
        "p_correct": 0.75,
        "cost_usd": pytest.approx(9 * (75 + 256) / 1e6),
        "cost_usd_per_mtok": 9,
        "latency_s": None,
        "pareto": True,
        "admitted": True,
        "excluded_because": None,
        "statements": [
            {
                "task": "sums",
                "relevance_fraction": 0.5,
                "accuracy_fraction": 0.75,
                "num_shots": 20,
            }
        ],
    }
    excluded = {name: entry["excluded_because"] for name, entry in entries.items()}
    assert excluded == {
        "best": None,
        "cheap": None,
        "poor": None,
        "blind": "endpoint_not_answered",
        "pinned": "no_card",
    }
    flags = {name: entry["pareto"] for name, entry in entries.items()}
    assert flags == {"best": True, "cheap": True, "poor": False, "blind": False, "pinned": False}


def test_a_fast_candidate_is_on_the_pareto_front(router_dir):
    estimates = Estimates()
    for name, latency_s in (("best", 2.0), ("cheap", 2.0), ("poor", 1.0)):
        estimates.finished(
            RequestRecord(
                request_id="r",
                endpoint="chat",
                started_s=0.0,
                received_at=0.0,
                candidate=name,
                ended_s=latency_s,
                completion_tokens=256,
                status=200,
            )
        )
    entries = by_name(explain(router_dir, estimates=estimates))
    assert (entries["poor"]["latency_s"], entries["poor"]["pareto"]) == (1.0, True)


def test_candidates_that_the_key_may_not_use_are_left_out(router_dir):
    shown = explain(router_dir, request(permitted=("best", "poor")))
    assert list(by_name(shown)) == shown["model_names"] == ["best", "poor"]


def test_without_scores_the_default_is_explained(router_dir):
    shown = explain(router_dir, scores=dict.fromkeys(SCORES, math.nan))
    assert shown["reason"] == "default_no_finite_score"
    assert shown["confidences"] == [None] * 4
    json.dumps(shown, allow_nan=False)


def test_an_explanation_stores_no_session_and_starts_no_candidate(router_dir):
    surroundings = Surroundings()
    surroundings.replicas = {"best": 0}
    explain(router_dir, request(session_id="s"), surroundings=surroundings)
    assert (surroundings.sessions, surroundings.woken) == ({}, [])


def test_constraints_apply_to_explanations(router_dir):
    shown = explain(router_dir, request(constraints=Constraints(max_cost=2)))
    assert shown["selected_model"] == "cheap"
    assert by_name(shown)["best"]["excluded_because"] == "above_max_cost"


VALUES = st.sampled_from([0.0, 0.5, 1.0, math.inf])
POINTS = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), VALUES, VALUES), max_size=7)


@given(POINTS)
def test_a_point_is_flagged_unless_another_dominates_it(points):
    def dominates(one, other):
        better = [one[0] > other[0], one[1] < other[1], one[2] < other[2]]
        worse = [one[0] < other[0], one[1] > other[1], one[2] > other[2]]
        return any(better) and not any(worse)

    expected = [not any(dominates(one, own) for one in points) for own in points]
    assert pareto_flags(points) == expected
