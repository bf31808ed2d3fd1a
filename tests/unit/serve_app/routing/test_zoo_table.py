import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.constraints import Constraints
from serve_app.contracts.errors import ApiError
from serve_app.routing.zoo_table import admitted_candidates, build_table, count_prompt_tokens
from tests.support.serve_app.small_zoo import candidate, make_state, request


@pytest.fixture(scope="session")
def table(router_dir):
    candidates = [
        candidate("tiny", cost=1, context_window=200),
        candidate("seeing", cost=2, modalities=("text", "image")),
        candidate("handy", cost=3, tools=True),
        candidate("old", cost=None, endpoints=("completions",)),
        candidate("embedder", endpoints=("embeddings",)),
    ]
    return build_table(make_state(router_dir, candidates))


def result(table, asked):
    """Names of the admitted candidates, and why the others are excluded."""
    tokens = asyncio.run(count_prompt_tokens(table, asked))
    try:
        admission = admitted_candidates(table, asked, tokens)
    except ApiError:
        return set(), {}
    names = {table.names[index] for index in np.flatnonzero(admission.admitted_M)}
    return names, admission.excluded(table.names)


def admitted(table, asked):
    return result(table, asked)[0]


def refusal(table, asked):
    tokens = asyncio.run(count_prompt_tokens(table, asked))
    with pytest.raises(ApiError) as caught:
        admitted_candidates(table, asked, tokens)
    return caught.value


CHAT = {"tiny", "seeing", "handy"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), CHAT),
        (request(endpoint="completions"), CHAT | {"old"}),
        (request(endpoint="embeddings"), {"embedder"}),
        (request(modalities=frozenset({"text", "image"})), {"seeing"}),
        (request(tools=True), {"handy"}),
        (request(max_new_tokens=150), {"seeing", "handy"}),
        (request("x" * 2000), {"seeing", "handy"}),
        (request(permitted=("t*", "old")), {"tiny"}),
        (request(constraints=Constraints(models=("*y", "old"))), {"tiny", "handy"}),
        (request(constraints=Constraints(max_cost=2)), {"tiny", "seeing"}),
    ],
)
def test_candidates_that_can_answer_are_admitted(table, asked, expected):
    assert admitted(table, asked) == expected


def test_every_excluded_candidate_has_a_reason(table):
    asked = request(endpoint="completions", constraints=Constraints(max_cost=1.5))
    assert result(table, asked)[1] == {
        "seeing": "above_max_cost",
        "handy": "above_max_cost",
        "old": "cost_unknown",
        "embedder": "endpoint_not_answered",
    }


def test_a_prompt_and_its_answer_fill_a_window_to_the_last_token(table):
    # Without a tokenizer 60 bytes are 10 tokens, 11 with the margin, and 64 of the template.
    fits = request("x" * 60, max_new_tokens=200 - 75)
    assert "tiny" in admitted(table, fits)
    assert "tiny" not in admitted(table, request("x" * 60, max_new_tokens=200 - 74))


WISHES = {
    "endpoint": st.sampled_from(["chat", "completions", "embeddings"]),
    "max_new_tokens": st.integers(0, 9000),
    "modalities": st.sets(st.sampled_from(["text", "image", "audio"])).map(frozenset),
    "tools": st.booleans(),
}
LIMITS = st.builds(
    Constraints,
    models=st.none() | st.just(("t*", "seeing")) | st.just(("nobody",)),
    max_cost=st.none() | st.sampled_from([0.5, 2.0]),
)


@given(st.fixed_dictionaries(WISHES), LIMITS, st.none() | st.just(("*y",)))
def test_another_constraint_never_admits_more_candidates(table, wishes, constraints, permitted):
    plain = request(endpoint=wishes["endpoint"])
    wished = request(**wishes, constraints=constraints, permitted=permitted)
    names, excluded = result(table, wished)
    assert names <= admitted(table, plain)
    if names:
        assert sorted([*names, *excluded]) == sorted(table.names)


@pytest.mark.parametrize(
    ("asked", "param", "said"),
    [
        (request("x" * 90_000), "messages", "3 with too small a context window"),
        (request(constraints=Constraints(models=("zzz",))), "models", "3 not matched by models"),
        (request(constraints=Constraints(max_cost=0.5)), "max_cost", "known costs start at 1"),
        (request(tools=True, modalities=frozenset({"image"})), None, "1 not taking tools"),
    ],
)
def test_no_admitted_candidate_is_an_error_with_the_reasons(table, asked, param, said):
    error = refusal(table, asked)
    assert (error.status, error.param) == (400 if param == "messages" else 404, param)
    assert said in error.message
    assert "zzz" not in error.message


def test_a_prompt_beyond_every_window_has_openais_code(table):
    asked = request("x" * 90_000)
    error = refusal(table, asked)
    assert error.code == "context_length_exceeded"
    assert "8192" in error.message


def test_a_zoo_without_cards_is_a_503(router_dir):
    table = build_table(make_state(router_dir, [candidate("a")], without_card=("a",)))
    error = refusal(table, request())
    assert (error.status, error.retry_after_s) == (503, 1)
