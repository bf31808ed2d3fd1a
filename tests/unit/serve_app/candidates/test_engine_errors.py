import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.candidates.engine_errors import engine_error, repeats, repeats_input


def test_engine_message_is_kept_when_it_repeats_nothing():
    error = engine_error(400, "maximum context length is 64", "input_tokens", {"messages": []})
    assert (error.message, error.param) == ("maximum context length is 64", "input_tokens")


@pytest.mark.parametrize(("given_status", "status"), [(404, 404), (200, 500), (0, 500), (700, 500)])
def test_engine_statuses_that_are_not_errors_become_500(given_status, status):
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
def test_a_part_of_a_text_is_withheld_in_every_encoding(quoted):
    assert repeats_input(f"cannot parse {quoted}", {"messages": [{"content": TEXT}]})


@given(text=st.text("ab ", min_size=16, max_size=60), message=st.text("ab ", max_size=60))
def test_sixteen_characters_in_a_row_are_a_part(text, message):
    windows = [text[place : place + 16] for place in range(len(text) - 15)]
    assert repeats(message, [text]) is any(window in message for window in windows)


def test_keys_that_are_texts_are_withheld_and_field_names_are_not():
    body = {"metadata": {"ada@example.org": 1}, "tell me of Ada": 1, "guided_choice": None}
    assert repeats_input("unknown key ada@example.org", body)
    assert repeats_input("unknown field: tell me of Ada", body)
    assert not repeats_input("metadata and guided_choice cannot stand together", body)


def test_a_long_message_is_truncated():
    assert len(engine_error(400, "x" * 10**6, None, {}).message) == 2000


def test_a_message_may_contain_the_models_name():
    assert not repeats_input("small-model reads no images", {"model": "small-model"})
