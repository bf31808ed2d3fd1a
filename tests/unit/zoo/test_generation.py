"""How a candidate generates: limits of tokens, request fields, hashes."""

import pytest
from pydantic import ValidationError

from modelsat.zoo.engines import parse_candidate
from modelsat.zoo.generation import Generation

ENTRY = {
    "name": "far",
    "engine": "openai",
    "base_url": "http://far.test/v1",
    "model": "m",
    "context_window": 8192,
}


@pytest.mark.parametrize(
    ("settings", "of_run", "choice", "math"),
    [
        ({}, None, 16, 1024),
        ({}, 99, 99, 99),
        ({"reasons": True}, None, 8208, 9216),
        ({"reasons": True}, 99, 99, 99),
        ({"reasons": True, "max_new_tokens": 4000}, 99, 4000, 4000),
    ],
)
def test_limit_of_tokens_is_the_candidates_the_runs_or_the_graders(settings, of_run, choice, math):
    generation = Generation.model_validate(settings)
    assert generation.max_tokens("choice", of_run) == choice
    assert generation.max_tokens("math", of_run) == math


def test_settings_reach_requests_and_chat_templates():
    generation = Generation(
        reasoning_effort="high", chat_template_kwargs={"enable_thinking": True}, top_k=20, top_p=0.9
    )
    assert generation.sampling == {"top_p": 0.9, "top_k": 20}
    assert generation.template_arguments == {"reasoning_effort": "high", "enable_thinking": True}
    assert generation.request_fields == {
        "top_p": 0.9,
        "top_k": 20,
        "reasoning_effort": "high",
        "chat_template_kwargs": {"enable_thinking": True},
    }
    assert Generation().request_fields == {}


def test_two_efforts_are_two_candidates_and_no_setting_keeps_older_hashes():
    plain = parse_candidate(ENTRY)
    low, high = (
        parse_candidate(ENTRY | {"generation": {"reasoning_effort": effort}})
        for effort in ("low", "high")
    )
    assert parse_candidate(ENTRY | {"generation": {}}).content_hash() == plain.content_hash()
    assert len({plain.content_hash(), low.content_hash(), high.content_hash()}) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"chat_template_kwargs": {"messages": []}},
        {"max_new_tokens": 0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"effort": "high"},
        {"reasons": "yes"},
        {"max_new_tokens": True},
        {"temperature": True},
        {"chat_template_kwargs": {"depth": float("inf")}},
    ],
)
def test_wrong_settings_are_refused_by_name(settings):
    [name] = settings
    with pytest.raises(ValidationError, match=name):
        parse_candidate(ENTRY | {"generation": settings})
