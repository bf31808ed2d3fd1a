import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.requests import all_text, text_to_route
from serve_app.config import RoutingOptions
from serve_app.contracts.errors import ApiError


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


TALK = [
    {"role": "system", "content": "Be brief."},
    user("Who was Ada?"),
    assistant("A mathematician."),
    user("When was she born?"),
]


def text_of(messages, rule="last_user", turns_chars=1024):
    options = RoutingOptions(text=rule, turns_chars=turns_chars)
    return text_to_route("chat", {"messages": messages}, options)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("last_user", "When was she born?"),
        ("user_turns", "Who was Ada?\nWhen was she born?"),
        ("conversation", "Be brief.\nWho was Ada?\nA mathematician.\nWhen was she born?"),
    ],
)
def test_the_rule_says_which_messages_are_scored(rule, text):
    assert text_of(TALK, rule) == text


@pytest.mark.parametrize(
    ("turns_chars", "text"),
    [
        (1, "When was she born?"),
        (34, "When was she born?"),  # 18 + 1 + 16 = 35
        (35, "A mathematician.\nWhen was she born?"),
        (48, "Who was Ada?\nA mathematician.\nWhen was she born?"),
    ],
)
def test_the_newest_messages_that_fit_are_kept(turns_chars, text):
    assert text_of(TALK, "conversation", turns_chars) == text


def test_what_follows_the_last_user_message_is_part_of_the_conversation():
    messages = [user("Multiply."), {"role": "tool", "content": "391"}]
    assert text_of(messages, "conversation") == "Multiply.\n391"
    assert text_of(messages) == "Multiply."


def test_a_long_tool_result_does_not_displace_the_question():
    messages = [user("Earlier?"), user("Multiply."), {"role": "tool", "content": "9" * 5000}]
    assert text_of(messages, "conversation", 100) == "Earlier?\nMultiply."


def test_texts_of_parts_are_joined_by_line_breaks():
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "text", "text": "Be brief."},
    ]
    assert text_of([user(content)]) == "What is this?\nBe brief."


@pytest.mark.parametrize("content", [None, "", " \n\t", [], [{"type": "text", "text": " "}]])
@pytest.mark.parametrize("rule", ["last_user", "user_turns", "conversation"])
def test_nothing_but_white_space_is_no_text(rule, content):
    assert text_of([user(content)], rule) == ""


def test_the_last_user_message_counts_even_if_it_has_no_text():
    messages = [user("Hi"), user([{"type": "image_url", "image_url": {"url": "data:,"}}])]
    assert text_of(messages) == ""
    assert text_of(messages, "user_turns") == "Hi"


def test_a_request_without_user_message_has_no_text():
    messages = [{"role": "system", "content": "Be brief."}]
    assert text_of(messages, "conversation") == ""


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool"]),
            "content": st.none() | st.text(max_size=30),
        }
    ),
    min_size=1,
    max_size=6,
)


@given(MESSAGES, st.sampled_from(["user_turns", "conversation"]), st.integers(1, 100))
def test_the_last_question_is_part_of_every_text_and_the_rest_is_bounded(messages, rule, limit):
    questions = [message["content"] or "" for message in messages if message["role"] == "user"]
    text = text_of(messages, rule, limit)
    question = questions[-1] if questions else ""
    assert question in text or not question.strip()
    assert bool(text) == bool(text.strip())
    assert len(text) <= max(limit, len(question))


@pytest.mark.parametrize(
    ("endpoint", "field"), [("completions", "prompt"), ("embeddings", "input")]
)
def test_prompts_and_inputs(endpoint, field):
    def text_of_value(value):
        return text_to_route(endpoint, {field: value}, RoutingOptions())

    assert text_of_value("Once upon") == "Once upon"
    assert text_of_value(["One", "Two"]) == "One\nTwo"
    assert text_of_value("") == text_of_value([" "]) == ""
    for value in ([1, 2], [[1], [2]]):
        with pytest.raises(ApiError) as refused:
            text_of_value(value)
        assert (refused.value.status, refused.value.param) == (400, field)


def test_the_whole_prompt_holds_every_message_and_tool():
    calls = [{"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}]
    body = {
        "messages": [*TALK, {"role": "assistant", "content": None, "tool_calls": calls}],
        "tools": [{"type": "function", "function": {"name": "multiply"}}],
    }
    text = all_text("chat", body)
    contents = [message["content"] for message in TALK]
    assert all(part in text for part in [*contents, "look_up", "multiply"])


def test_the_longest_of_several_prompts_counts():
    assert all_text("completions", {"prompt": ["One", "Twenty", "Two"]}) == "Twenty"


@pytest.mark.parametrize("prompt", [[7] * 50, [[7] * 50, [1]]])
def test_token_ids_are_at_least_as_many_tokens(prompt):
    assert len(all_text("completions", {"prompt": prompt}).split()) == 50
