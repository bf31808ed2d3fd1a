"""The fake upstream behaves as OpenAI's clients expect, and misbehaves as configured."""

import json
import socket
import time
from contextlib import closing

import httpx
import openai
import pytest

from tests.support.upstream import Upstream, running_upstream

CHAT = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
def upstream(loopback):
    with running_upstream("a") as server:
        yield server


@pytest.fixture
def client(upstream):
    with openai.OpenAI(base_url=upstream.url, api_key="k", max_retries=0, timeout=10) as made:
        yield made


def post(upstream: Upstream, body, path="/chat/completions", timeout_s=10.0):
    return httpx.post(upstream.url + path, json=body, timeout=timeout_s)


def wait_until(holds):
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_official_client_reads_complete_answers(client):
    answer = client.chat.completions.create(**CHAT, n=2, logprobs=True)
    assert answer.model == "m"
    assert [c.message.content for c in answer.choices] == ["".join(f"a-{i} " for i in range(8))] * 2
    assert len(answer.choices[1].logprobs.content) == 8
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 16)
    text = client.completions.create(model="m", prompt="one two", max_tokens=3, logprobs=1)
    assert (text.choices[0].text, text.choices[0].finish_reason) == ("a-0 a-1 a-2 ", "length")
    assert text.choices[0].logprobs.text_offset == [0, 4, 8]
    assert [m.id for m in client.models.list()] == ["fake-model"]


def test_official_client_reads_streams(client):
    chunks = list(
        client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "".join(f"a-{i} " for i in range(8))
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 8)
    assert all(c.usage is None for c in chunks[:-1])


def test_streams_are_framed_as_server_sent_events(upstream):
    response = post(upstream, {**CHAT, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(json.loads(event.removeprefix("data: "))["model"] == "m" for event in events)


def test_supports_tools_and_response_formats(client):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    choice = client.chat.completions.create(**CHAT, tools=[tool]).choices[0]
    assert (choice.finish_reason, choice.message.tool_calls[0].function.name) == (
        "tool_calls",
        "look",
    )
    answer = client.chat.completions.create(**CHAT, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == {"server": "a"}


# Without encoding_format the client requests base64 and decodes it.
@pytest.mark.parametrize("encoding", [{"encoding_format": "float"}, {}], ids=["float", "base64"])
def test_embeddings_depend_only_on_the_text(client, encoding):
    first, second, again = client.embeddings.create(
        model="m", input=["x", "y", "x"], **encoding
    ).data
    assert first.embedding == again.embedding != second.embedding
    plain = client.embeddings.create(model="m", input="x", encoding_format="float").data[0]
    assert first.embedding == plain.embedding


def test_listed_statuses_come_first_and_in_order(upstream):
    upstream.behave(statuses=(500, 200), status=429, retry_after_s=2)
    answers = [post(upstream, CHAT) for _ in range(3)]
    assert [a.status_code for a in answers] == [500, 200, 429]
    assert answers[2].headers["retry-after"] == "2"
    assert set(answers[2].json()["error"]) == {"message", "type", "param", "code"}


def test_a_prompt_can_be_too_long(upstream):
    upstream.behave(fault="context_length")
    response = post(upstream, CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (
        400,
        "context_length_exceeded",
    )


def test_control_path_sets_the_behaviour_and_returns_requests(upstream):
    control = upstream.url.removesuffix("/v1") + "/control"
    assert httpx.post(control, json={"status": 503}).status_code == 200
    assert post(upstream, CHAT).status_code == 503
    assert httpx.post(control, json={"statsu": 503}).status_code == 400
    received = httpx.get(control).json()
    assert received["num_requests"] == {"/v1/chat/completions": 1}
    assert received["requests"][0]["body"] == CHAT


@pytest.mark.parametrize(("fault", "is_json"), [("html", False), ("wrong_types", True)])
def test_malformed_answers_have_status_200(upstream, fault, is_json):
    upstream.behave(fault=fault)
    response = post(upstream, CHAT)
    assert response.status_code == 200
    assert (response.text[0] == "{") == is_json
    assert not is_json or response.json()["choices"] == "none"


@pytest.mark.parametrize("fault", ["not_json", "truncated", "empty"])
def test_other_malformed_answers_are_not_json(upstream, fault):
    upstream.behave(fault=fault)
    with pytest.raises(json.JSONDecodeError):
        post(upstream, CHAT).json()


def test_stream_breaks_after_the_configured_events(upstream):
    upstream.behave(fault="close", after_chunks=3)
    lines = []
    with (
        httpx.stream(
            "POST", upstream.url + "/chat/completions", json={**CHAT, "stream": True}
        ) as r,
        pytest.raises(httpx.HTTPError),
    ):
        lines.extend(r.iter_lines())
    assert len([line for line in lines if line.startswith("data: ")]) == 3


@pytest.mark.parametrize("fault", ["silence", "stall"])
def test_disconnected_clients_are_counted(upstream, fault):
    upstream.behave(fault=fault, after_chunks=1)
    with pytest.raises(httpx.ReadTimeout):
        post(upstream, {**CHAT, "stream": True}, timeout_s=0.2)
    wait_until(lambda: upstream.num_cancelled == 1)
    wait_until(lambda: upstream.num_connections == 0)


def test_answers_can_be_large(upstream):
    upstream.behave(padding_bytes=1_000_000)
    assert len(post(upstream, CHAT).content) > 1_000_000


def test_closed_server_refuses_connections(loopback):
    with running_upstream() as server:
        port = server.port
        assert post(server, CHAT).status_code == 200
    with closing(socket.socket()) as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
