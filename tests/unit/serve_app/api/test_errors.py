import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.errors import (
    ApiError,
    engine_error,
    error_event,
    model_not_found,
    overloaded,
    repeats,
    repeats_input,
)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (
            ApiError(400, "bad", param="stop"),
            400,
            "invalid_request_error",
            "invalid_parameter",
            "stop",
        ),
        (model_not_found(("auto", "a")), 404, "invalid_request_error", "model_not_found", "model"),
        (ApiError(408, "slow"), 408, "timeout", "timeout", None),
        (ApiError(429, "many"), 429, "rate_limit_error", "rate_limited", None),
        (ApiError(500, "defect"), 500, "server_error", "internal_error", None),
        (overloaded("full"), 503, "service_unavailable", "overloaded", None),
    ],
)
def test_errors_have_openais_shape(error, status, kind, code, param):
    assert error.status == status
    assert error.body == {
        "error": {"message": error.message, "type": kind, "param": param, "code": code}
    }


def test_overload_says_when_to_retry_and_a_bad_request_does_not():
    assert overloaded("full").headers == {"Retry-After": "1"}
    assert ApiError(400, "bad").headers == {}


def test_unknown_model_lists_the_known_ones_only():
    assert "auto, small" in model_not_found(("auto", "small")).message


def test_of_many_known_models_some_are_listed():
    message = model_not_found([f"m{i}" for i in range(1000)]).message
    assert "m19 and 980 more" in message
    assert "m20" not in message


def test_error_event_is_one_server_sent_event():
    event = error_event(ApiError(503, "gone"))
    assert event.startswith("data: ")
    assert event.endswith("\n\n")
    assert json.loads(event.removeprefix("data: "))["error"]["message"] == "gone"


def test_engine_message_is_kept_when_it_repeats_nothing():
    error = engine_error(400, "maximum context length is 64", "input_tokens", {"messages": []})
    assert (error.message, error.param) == ("maximum context length is 64", "input_tokens")


@pytest.mark.parametrize(("given_status", "status"), [(404, 404), (200, 500), (0, 500), (700, 500)])
def test_engine_statuses_that_are_no_errors_become_500(given_status, status):
    assert engine_error(given_status, "m", None, {}).status == status


@given(
    secret=st.text(min_size=4),
    before=st.text(),
    after=st.text(),
    place=st.sampled_from(["content", "part", "stop", "unknown"]),
)
def test_request_text_never_comes_back_in_an_engine_error(secret, before, after, place):
    body = {
        "content": {"messages": [{"role": "r", "content": secret}]},
        "part": {"messages": [{"role": "r", "content": [{"type": "t", "text": secret}]}]},
        "stop": {"stop": [secret]},
        "unknown": {"extra": {"deep": [[secret]]}},
    }[place]
    error = engine_error(400, before + secret + after, secret, body)
    assert error.message.endswith("its message repeats text of the request and is withheld")
    assert error.param is None


TEXT = 'My name is Ada, and "n\u00e4chste" week I move to B\u00f6blingen.\nIs \U0001f600 fine?'
TAIL = "move to B\u00f6blingen.\nIs \U0001f600 fine?"


@pytest.mark.parametrize(
    "quoted",
    [
        TEXT[:16] + "...",
        TEXT[-16:],
        repr(TAIL),
        ascii(TAIL),
        json.dumps(TAIL),
        json.dumps(TAIL, ensure_ascii=False),
        json.dumps(json.dumps(TAIL)),
    ],
)
def test_a_part_of_a_text_is_not_told_however_it_is_written(quoted):
    assert repeats_input(f"cannot parse {quoted}", {"messages": [{"content": TEXT}]})


@given(text=st.text("ab ", min_size=16, max_size=60), message=st.text("ab ", max_size=60))
def test_sixteen_characters_in_a_row_are_a_part(text, message):
    windows = [text[place : place + 16] for place in range(len(text) - 15)]
    assert repeats(message, [text]) is any(window in message for window in windows)


def test_keys_that_are_texts_are_not_told_and_names_of_fields_are():
    body = {"metadata": {"ada@example.org": 1}, "tell me of Ada": 1, "guided_choice": None}
    assert repeats_input("unknown key ada@example.org", body)
    assert repeats_input("unknown field: tell me of Ada", body)
    assert not repeats_input("metadata and guided_choice cannot stand together", body)


def test_of_a_long_message_the_beginning_is_told():
    assert len(engine_error(400, "x" * 10**6, None, {}).message) == 2000


def test_the_models_name_may_stand_in_a_message():
    assert not repeats_input("small-model reads no images", {"model": "small-model"})
