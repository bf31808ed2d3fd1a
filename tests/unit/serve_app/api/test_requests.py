import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.constraints import Constraints
from serve_app.api.requests import (
    PARSERS,
    parse_chat,
    parse_completion,
    parse_embedding,
    parse_route,
)
from serve_app.contracts.errors import ApiError

MESSAGE = {"role": "user", "content": "Hi"}
CHAT = {"model": "auto", "messages": [MESSAGE]}


def parse(**body):
    return parse_chat(json.dumps(body).encode())


def status_of(raw, parser=parse_chat):
    try:
        parser(raw)
    except ApiError as refused:
        return refused.status
    return 200


def param_of(parser, body):
    with pytest.raises(ApiError) as refused:
        parser(json.dumps(body).encode())
    assert refused.value.status == 400
    return refused.value.param


def test_the_body_is_kept_as_it_came():
    body = {**CHAT, "top_k": 3, "nested": {"a": [1, None, 1e-3, "\u00e9\u0000"]}, "big": 2**70}
    asked = parse(**body)
    assert asked.body == body
    assert (asked.model, asked.stream, asked.routing_fields) == ("auto", False, {})


@pytest.mark.parametrize(("stream", "expected"), [(True, True), (False, False), (None, False)])
def test_stream_may_be_true_false_or_null(stream, expected):
    assert parse(**CHAT, stream=stream).stream is expected


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": ["auto"]}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {"0": MESSAGE}}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [MESSAGE, {"content": "Hi"}]}, "messages[1].role"),
        ({"messages": [{"role": "", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["Hi"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "a", "content": [{"type": 1}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [{"role": "a", "tool_calls": "f"}]}, "messages[0].tool_calls"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"tools": {}}, "tools"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"max_completion_tokens": True}, "max_completion_tokens"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"tolerance": 1.1}, "tolerance"),
        ({"tolerance": "0.1"}, "tolerance"),
        ({"min_p": True}, "min_p"),
        ({"min_p": 2}, "min_p"),
        ({"max_cost": -1}, "max_cost"),
        ({"max_cost": 2e9}, "max_cost"),
        ({"max_cost": []}, "max_cost"),
        ({"models": "tiny"}, "models"),
        ({"models": []}, "models"),
        ({"models": [""]}, "models"),
        ({"models": [1]}, "models"),
        ({"models": ["a"] * 1025}, "models"),
        ({"models": ["a*"] * 65}, "models"),
    ],
)
def test_wrong_types_are_refused_by_field_name(changes, param):
    assert param_of(parse_chat, {**CHAT, **changes}) == param


def test_optional_fields_may_be_null():
    names = ("stream", "stream_options", "tools", "max_tokens", "max_completion_tokens")
    knobs = ("tolerance", "min_p", "max_cost", "models")
    message = {"role": "assistant", "content": None, "tool_calls": None}
    asked = parse(model="m", messages=[message], **dict.fromkeys((*names, *knobs)))
    assert asked.routing_fields == dict.fromkeys(knobs)


def test_routing_fields_are_removed_and_override_the_profile():
    asked = parse(**CHAT, tolerance=1, min_p=0, max_cost=0.25, models=["a*", "b"])
    assert asked.body == CHAT
    profile = Constraints(tolerance=0.5, models=("c",))
    expected = Constraints(tolerance=1, min_p=0, max_cost=0.25, models=("a*", "b"))
    assert asked.constraints(profile) == expected
    assert parse(**CHAT, tolerance=None).constraints(profile) == Constraints(models=("c",))
    assert parse(**CHAT).constraints(profile) == profile


def test_a_long_allow_list_is_accepted():
    models = [f"name-{i}" for i in range(1024 - 64)] + ["a*"] * 64
    assert parse(**CHAT, models=models).routing_fields["models"] == tuple(models)


TEXTS = ["Hi", "", ["a"], ["a", ""], [1, 2], [0], [[1], [2, 3]], [1.0, 2]]
NO_TEXTS = [None, 1, {}, [], ["", 1], [1, "a"], [[]], [[1], []], [-1], [1.5], [True], [[1], "a"]]


@pytest.mark.parametrize(
    ("parser", "field"), [(parse_completion, "prompt"), (parse_embedding, "input")]
)
def test_prompts_are_strings_or_token_ids_or_lists_of_them(parser, field):
    for value in TEXTS:
        body = {"model": "m", field: value, "dimensions": 8}
        assert parser(json.dumps(body).encode()).body == body
    for value in NO_TEXTS:
        assert param_of(parser, {"model": "m", field: value}) == field
    assert param_of(parser, {"model": "m"}) == field


def test_a_route_request_is_a_chat_or_a_prompt_with_an_optional_profile():
    asked = parse_route(json.dumps({"messages": [MESSAGE], "min_p": 0.5}).encode(), "auto")
    assert (asked.endpoint, asked.model, asked.explained) == ("chat", "auto", 3)
    assert asked.routing_fields == {"min_p": 0.5}
    asked = parse_route(b'{"prompt": "Hi", "model": "cheap", "top_k": 0}', "auto")
    assert (asked.endpoint, asked.model, asked.explained) == ("completions", "cheap", 0)
    assert param_of(lambda raw: parse_route(raw, "auto"), {"model": "auto"}) == "messages"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe\x00",
        b'\xef\xbb\xbf{"model": "m"}',
        json.dumps(CHAT).encode("utf-16"),
        b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_p": NaN}',
        b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_p": -Infinity}',
        b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_p": 1e999}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "m", "seed": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"[]," * 300_000 + b"[]]",
        json.dumps(CHAT).encode() + b"x",
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(raw):
    with pytest.raises(ApiError) as refused:
        parse_chat(raw)
    assert refused.value.status == 400


def test_bodies_of_brackets_only_are_refused_before_they_are_parsed():
    lists = b"[" + b"[]," * 260_000 + b"[]]"
    with pytest.raises(ApiError, match="brackets") as refused:
        parse_chat(json.dumps(CHAT).encode()[:-1] + b', "x": ' + lists + b"}")
    assert refused.value.status == 400
    text = {"role": "user", "content": "{x} [y] " * 60_000}
    assert parse(model="m", messages=[text]).body["messages"] == [text]


@pytest.mark.parametrize("unit", [("[", "]"), ('{"x": ', "}")])
@pytest.mark.parametrize(
    ("depth", "status"), [(128, 200), (129, 400), (900, 400), (5000, 400), (100_000, 400)]
)
def test_the_depth_of_bodies_is_bounded(unit, depth, status):
    inner = depth - 1  # the body itself is one level
    nested = unit[0] * inner + "1" + unit[1] * inner
    raw = json.dumps(CHAT)[:-1] + f', "tools": {nested}' + "}"
    if unit[0] != "[":
        raw = raw.replace("tools", "extra")
    assert status_of(raw.encode()) == status


def test_brackets_in_texts_do_not_count_as_depth():
    assert parse(model="m", messages=[{"role": "user", "content": "[{" * 1000}])


def test_the_last_value_of_a_repeated_key_counts():
    raw = b'{"model": "a", "messages": [{"role": "user", "content": "Hi"}], "model": "b"}'
    assert parse_chat(raw).model == "b"


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_accepted_or_refused_with_400(raw):
    assert status_of(raw) in (200, 400)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
FIELDS = (
    "model",
    "messages",
    "prompt",
    "input",
    "tools",
    "max_tokens",
    "stream",
    "models",
    "top_k",
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
    st.sampled_from([*PARSERS.values(), lambda raw: parse_route(raw, "auto")]),
)
def test_any_field_types_are_accepted_or_refused_with_400(body, parser):
    assert status_of(json.dumps(body).encode(), parser) in (200, 400)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], {"text"}),
        (["text"], {"text"}),
        (["image_url"], {"text", "image"}),
        (["input_audio", "text"], {"text", "audio"}),
        (["something_new"], {"text"}),
    ],
)
def test_modalities_follow_from_the_parts(parts, expected):
    content = [{"type": kind, "text": ""} for kind in parts]
    assert parse(
        model="m", messages=[MESSAGE, {"role": "user", "content": content}]
    ).modalities == (expected)


def test_the_newer_name_of_a_limit_counts_first():
    assert parse(**CHAT, max_tokens=3, max_completion_tokens=5).max_new_tokens == 5
    assert parse(**CHAT, max_tokens=3, max_completion_tokens=None).max_new_tokens == 3
    assert parse(**CHAT, max_tokens=7.0).max_new_tokens == 7
    assert parse(**CHAT, max_tokens=10**30).max_new_tokens == 2**40
    assert parse(**CHAT).max_new_tokens == 0


def test_fields_of_another_endpoint_are_ignored():
    body = {"model": "m", "prompt": "Hi", "messages": 5, "tools": 5, "max_completion_tokens": "a"}
    asked = parse_completion(json.dumps(body).encode())
    assert (asked.modalities, asked.has_tools, asked.max_new_tokens) == ({"text"}, False, 0)
