"""One replica of a candidate behind a URL, against a server that misbehaves on command."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelsat.aptitude.images import ImageWriter
from modelsat.aptitude.prompts import Prompts
from modelsat.errors import ZooError
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.generation import Generation
from profiling.checkpoint import Checkpoint
from profiling.config import RemoteConfig
from profiling.engines.openai import Endpoint, Pace, _quotes, open_client
from profiling.keeping import BatchKeeper
from profiling.pipeline import grade_row
from tests.support.drawn_images import drawn
from tests.support.upstream import Upstream, running_upstream

KEY = "sk-very-secret"
GOLD = "fake-0 fake-1"  # what the server says in two tokens
BLOCK_SIZE = 4


@pytest.fixture
def upstream(loopback: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with running_upstream() as server:
        yield server


@dataclass(frozen=True)
class Asking:
    """A candidate behind the server's URL, and where its answers are kept."""

    candidate: OpenAICandidate
    checkpoint: Checkpoint

    def ask(
        self,
        number: int = 1,
        *,
        prompt: str = "what is it",
        key: str | None = "TEST_KEY",
        prompts: Prompts | None = None,
        grader: str | None = None,
        request: str | None = None,
        images: list[str] | None = None,
        folders: tuple[str, ...] = (),
        **limits: Any,
    ) -> list[dict[str, Any]]:
        """Graded rows of so many questions, asked in one batch."""
        config = RemoteConfig.model_validate({"max_retries": 0, "request_timeout_s": 5, **limits})
        candidate = self.candidate.model_copy(update={"api_key_env": key})
        question = {"task": "t", "prompt": prompt, "answer": GOLD, "n_choices": None}
        question |= {"grader": grader, "request": request, "images": images}
        rows = [{"question_id": f"q{i}", **question} for i in range(number)]

        async def run() -> list[dict[str, Any]]:
            keeper = BatchKeeper(1, partial(grade_row, candidate="far"), self.checkpoint)
            async with open_client(candidate, config, replicas=1) as client:
                endpoint = Endpoint(
                    client,
                    candidate,
                    concurrency=config.concurrency,
                    fields=config.request_fields,
                    max_new_tokens={"text": 2, "math": 700},
                    prompts=prompts or Prompts(),
                    folders=folders,
                    max_lost=BLOCK_SIZE,
                )
                return await keeper.keep(rows, endpoint.answer)

        return asyncio.run(run())


@pytest.fixture
def asking(upstream: Upstream, tmp_path: Path) -> Asking:
    candidate = OpenAICandidate(
        name="far",
        engine="openai",
        base_url=upstream.url,
        model="fake-model",
        context_window=4096,
    )
    return Asking(candidate, Checkpoint(tmp_path / "checkpoint" / "hash"))


def test_answers_come_graded_with_their_tokens(upstream: Upstream, asking: Asking) -> None:
    rows = asking.ask(3)
    assert [row["question_id"] for row in rows] == ["q0", "q1", "q2"]
    assert sorted(row.pop("engine_request") for row in rows) == [0, 1, 2]
    [first, *_] = rows
    assert first["correct"] == 1.0
    assert (first["prompt_tokens"], first["completion_tokens"]) == (3, 2)
    assert (first["output"].strip(), first["failure"]) == (GOLD, None)


def test_a_request_says_what_the_zoo_and_the_run_say(upstream: Upstream, asking: Asking) -> None:
    fields = {"max_tokens": None, "max_completion_tokens": 9, "top_p": 0.5}
    asking.ask()
    asking.ask(key=None, request_fields=fields)
    (path, headers, body), (_, without_key, changed) = upstream.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in without_key
    question = {"model": "fake-model", "messages": [{"role": "user", "content": "what is it"}]}
    assert body == {**question, "temperature": 0.0, "max_tokens": 2}
    assert changed == {
        **question,
        "temperature": 0.0,
        "max_completion_tokens": 9,
        "top_p": 0.5,
    }


def test_a_request_carries_the_generation_of_its_candidate_and_the_limit_of_its_grader(
    upstream: Upstream, asking: Asking
) -> None:
    generation = Generation(
        reasoning_effort="low", temperature=0.6, chat_template_kwargs={"enable_thinking": True}
    )
    candidate = asking.candidate.model_copy(update={"generation": generation})
    Asking(candidate, asking.checkpoint).ask(grader="math", request_fields={"temperature": 0.7})
    [(_, _, body)] = upstream.requests
    body.pop("messages")
    assert body == {
        "model": "fake-model",
        "max_tokens": 700,
        "temperature": 0.7,
        "reasoning_effort": "low",
        "chat_template_kwargs": {"enable_thinking": True},
    }


def test_worked_examples_come_as_a_chat(upstream: Upstream, asking: Asking) -> None:
    asking.ask(prompts=Prompts(examples={"t": (("one?", "1"),), "other": (("two?", "2"),)}))
    [(_, _, body)] = upstream.requests
    assert body["messages"] == [
        {"role": "user", "content": "one?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "what is it"},
    ]


def test_what_the_zoo_and_the_questions_say_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match=r"\['messages', 'n'\] cannot be set here"):
        RemoteConfig(request_fields={"n": 2, "messages": []})


def test_kept_before_they_are_handed_on(upstream: Upstream, asking: Asking) -> None:
    upstream.behave(context_words=3)
    asking.ask(2)
    asking.ask(3, prompt="a prompt of five words")
    settled = asking.checkpoint.load(max_asking_runs=2)
    assert sorted(settled["question_id"].to_pylist()) == ["q0", "q1"]
    assert asking.checkpoint.num_interrupted() == 0


def test_a_refused_question_is_a_failed_row(upstream: Upstream, asking: Asking) -> None:
    upstream.behave(fault="context_length")
    rows = asking.ask(2 * BLOCK_SIZE)
    assert len(rows) == 2 * BLOCK_SIZE
    for row in rows:
        assert row["engine_request"] == -1
        assert not {"correct", "output"} & set(row)
        assert row["failure"].startswith("failed: HTTP status 400: This model's maximum context")
    assert upstream.num_requests["/v1/chat/completions"] == 4 * BLOCK_SIZE


def test_what_passes_by_itself_is_asked_again(upstream: Upstream, asking: Asking) -> None:
    upstream.behave(statuses=(503, 429), retry_after_s=0.001)
    [row] = asking.ask(max_retries=2)
    assert row["correct"] == 1.0
    assert upstream.num_requests["/v1/chat/completions"] == 3


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"status": 500}, "HTTP status 500: the fake upstream answers 500"),
        ({"status": 307}, "HTTP status 307"),
        ({"fault": "not_json"}, "not a chat completion"),
        ({"fault": "html"}, "not a chat completion"),
        ({"fault": "truncated"}, "not a chat completion"),
        ({"fault": "wrong_types"}, "not a chat completion"),
        ({"fault": "empty"}, "not a chat completion"),
        ({"fault": "close"}, "Connection error"),
        ({"fault": "silence"}, "no answer within request_timeout_s"),
    ],
)
def test_whatever_comes_instead_of_an_answer_fails_the_row(
    upstream: Upstream, asking: Asking, behaviour: dict[str, Any], said: str
) -> None:
    upstream.behave(**behaviour)
    [row] = asking.ask(request_timeout_s=0.2)
    assert "correct" not in row
    assert said in row["failure"]


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_url_that_refuses_the_candidate_fails_it_at_once(
    upstream: Upstream, asking: Asking, status: int
) -> None:
    upstream.behave(status=status)
    with pytest.raises(ZooError, match=f"'far': http.* refuses every question .*{status}"):
        asking.ask(2, max_retries=5)
    assert upstream.num_requests["/v1/chat/completions"] <= 2
    assert asking.checkpoint.load(1).num_rows == 0


def test_a_url_that_answers_nothing_fails_the_candidate(upstream: Upstream, asking: Asking) -> None:
    upstream.behave(status=503)
    with pytest.raises(ZooError, match="left 5 questions in a row unanswered: HTTP status 503"):
        asking.ask(BLOCK_SIZE + 1)


def test_a_missing_or_broken_key_is_named(
    upstream: Upstream, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", f"{KEY}\n")
    with pytest.raises(ZooError, match="TEST_KEY holds characters that no key has") as error:
        asking.ask()
    assert KEY not in str(error.value)
    with pytest.raises(ZooError, match="'far': environment variable NO_SUCH_KEY is not set"):
        asking.ask(key="NO_SUCH_KEY")


def test_no_key_reaches_an_error_or_a_log(
    upstream: Upstream,
    asking: Asking,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEST_KEY", "upstream")  # a word of the server's message
    upstream.behave(status=500)
    [row] = asking.ask()
    assert "the fake *** answers 500" in row["failure"]
    assert "Bearer upstream" not in caplog.text


def test_requests_in_flight_are_bounded(upstream: Upstream, asking: Asking) -> None:
    upstream.behave(latency_s=0.05)
    asking.ask(8, concurrency=2)
    assert upstream.max_open == 2


@pytest.mark.parametrize(
    ("per_minute", "replicas", "expected_s"),
    [(60, 1, [0, 1, 2]), (60, 2, [0, 2, 4]), (None, 1, [0, 0, 0])],
)
def test_requests_are_spaced_evenly(
    per_minute: float | None, replicas: int, expected_s: list[float]
) -> None:
    now_s = 100.0
    started_s = []

    async def sleep(pause_s: float) -> None:
        nonlocal now_s
        now_s += pause_s

    async def run() -> None:
        pace = Pace(per_minute, replicas, lambda: now_s, sleep)
        for _ in range(3):
            await pace.wait()
            started_s.append(now_s - 100.0)

    asyncio.run(run())
    assert started_s == expected_s


def test_repeated_requests_keep_the_pace(upstream: Upstream, asking: Asking) -> None:
    upstream.behave(statuses=(503, 503), retry_after_s=0.001)
    started_s = time.monotonic()
    asking.ask(max_retries=2, requests_per_minute=1200)
    assert upstream.num_requests["/v1/chat/completions"] == 3
    assert time.monotonic() - started_s >= 2 * 60 / 1200  # however fast the machine is


def test_a_questions_own_request_is_sent_and_calls_of_tools_are_answers(
    upstream: Upstream, asking: Asking
) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    messages = [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": "1 + 1?"},
    ]
    request = {"messages": messages, "tools": [tool], "tool_choice": "required"}
    [row] = asking.ask(request=json.dumps(request), prompts=Prompts(examples={"t": (("a", "b"),)}))
    [(_, _, body)] = upstream.requests
    assert body == {
        **request,
        "model": "fake-model",
        "temperature": 0.0,
        "max_tokens": 2,
    }
    [call] = json.loads(row["output"])["tool_calls"]
    assert call["function"]["name"] == "add"


def test_images_are_sent_as_parts_of_the_message(
    upstream: Upstream, asking: Asking, tmp_path: Path
) -> None:
    image = drawn("red")
    name = ImageWriter(tmp_path).store(image, tmp_path)
    asking.ask(prompt="What is <image1>?", images=[name], folders=(str(tmp_path),))
    [(_, _, body)] = upstream.requests
    [message] = body["messages"]
    text, part, end = message["content"]
    assert (text["text"], end["text"]) == ("What is ", "?")
    sent = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert sent == image


def test_a_message_that_quotes_the_prompt_is_not_repeated() -> None:
    messages = [{"role": "user", "content": "Who painted the picture in my flat?"}]
    assert _quotes("bad key for prompt: Who painted the picture in my flat?", messages)
    assert _quotes("... the picture in my flat ...", messages)
    assert not _quotes("model gpt-9 does not exist", messages)
    assert not _quotes("anything", [{"role": "user", "content": ""}])
