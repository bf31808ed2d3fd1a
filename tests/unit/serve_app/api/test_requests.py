import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.api.requests import parse_chat_request, text_to_route
from serve_app.api.errors import ApiError

MESSAGE = {"role": "user", "content": "Hi"}


def parse(**body):
    return parse_chat_request(json.dumps(body).encode())


def status_of(raw):
    try:
        parse_chat_request(raw)
    except ApiError as refused:
        return refused.status
    return 200


def test_the_body_is_kept_as_it_came():
    body = {"model": "auto", "messages": [MESSAGE], "top_k": 3, "nested": {"a": [1, None]}}
    request = parse(**body)
    assert request.body == body
    assert (request.model, request.stream) == ("auto", False)


@pytest.mark.parametrize(("stream", "expected"), [(True, True), (False, False), (None, False)])
def test_stream_may_be_true_false_or_null(stream, expected):
    assert parse(model="m", messages=[MESSAGE], stream=stream).stream is expected


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
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["Hi"]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": True}, "stream_options"),
    ],
)
def test_wrong_types_are_refused_by_field_name(changes, param):
    with pytest.raises(ApiError) as refused:
        parse(**{"model": "auto", "messages": [MESSAGE], **changes})
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe\x00",
        b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_p": NaN}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_refused(raw):
    with pytest.raises(ApiError) as refused:
        parse_chat_request(raw)
    assert refused.value.status == 400


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_accepted_or_refused_with_400(raw):
    assert status_of(raw) in (200, 400)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.fixed_dictionaries({"model": JSON, "messages": JSON}, optional={"stream": JSON}))
def test_any_field_types_are_accepted_or_refused_with_400(body):
    assert status_of(json.dumps(body).encode()) in (200, 400)


PARTS = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text()})
    | st.just({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
    max_size=3,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool"]),
            "content": st.none() | st.text() | PARTS,
        }
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(MESSAGES)
def test_the_text_is_that_of_the_last_user_message(messages):
    texts = []
    for message in messages:
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, list):
                content = "\n".join(part.get("text", "\0") for part in content)
                content = "\n".join(line for line in content.split("\n") if line != "\0")
            texts.append(content or "")
    if not texts or not texts[-1].strip():
        with pytest.raises(ApiError) as refused:
            text_to_route({"messages": messages})
        assert (refused.value.status, refused.value.param) == (400, "messages")
    else:
        assert text_to_route({"messages": messages}) == texts[-1]


@pytest.mark.parametrize("content", [None, "", " \n\t", [], [{"type": "text", "text": " "}]])
def test_a_last_user_message_without_text_is_refused(content):
    messages = [MESSAGE, {"role": "user", "content": content}]
    with pytest.raises(ApiError, match="no text to route on"):
        text_to_route({"messages": messages})


def test_texts_of_parts_are_joined_by_line_breaks():
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "text", "text": "Be brief."},
    ]
    body = {"messages": [{"role": "user", "content": content}]}
    assert text_to_route(body) == "What is this?\nBe brief."
