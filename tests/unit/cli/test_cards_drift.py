"""`modelsat cards drift` against a server of this machine."""

import json

import httpx
import pytest
from typer.testing import CliRunner

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import Card, Statement, write_cards
from modelsat.cli.live_candidate import LiveCandidate, _text
from modelsat.cli.main import app
from modelsat.errors import ConfigError, GradingError, MachineError, QualityError, ZooError
from tests.support.upstream import running_upstream

SHOTS = 12
SAID = "fake-0 fake-1"  # what the server says in two tokens


@pytest.fixture
def upstream(loopback, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "sk-secret")
    with running_upstream() as server:
        yield server


@pytest.fixture
def drift(tmp_path, upstream):
    """Writes a card and its test, and runs `cards drift`; the server answers half of it right."""
    tasks = TaskSet(
        benchmark="b",
        tasks=tuple(
            CoreTask(
                task=name,
                keywords=tuple("abcde"),
                question_ids=tuple(f"{name}{i}" for i in range(SHOTS)),
            )
            for name in ("echo", "other")
        ),
    )
    tasks.save(tmp_path / "tasks.json")
    rows = [
        {"question_id": q, "benchmark": "b", "task": task.task, "prompt": f"What is {q}?"}
        | {"answer": SAID if task.task == "echo" else "another thing"}
        for task in tasks.tasks
        for q in task.question_ids
    ]
    write_table(QUESTIONS, rows, tmp_path / "questions.parquet")
    example = {"question_id": "e", "benchmark": "b", "prompt": "What is e?", "answer": "an e"}
    examples = [example | {"question_id": name, "task": name} for name in ("echo", "other")]
    write_table(QUESTIONS, examples, tmp_path / "examples.parquet")
    (tmp_path / "zoo.yaml").write_text(
        "{version: 1, candidates: [{name: far, engine: openai, context_window: 64, model: m, "
        f"base_url: '{upstream.url}', api_key_env: TEST_KEY}}, "
        "{name: near, engine: vllm, context_window: 64, llm_config: {model_loading_config: "
        "{model_source: hub/near}}}]}"
    )

    def run_drift(*options, counts=(SHOTS, 0), name="far", provenance=""):
        statements = tuple(
            Statement(task.task, task.description, float(right), SHOTS)
            for task, right in zip(tasks.tasks, counts, strict=True)
        )
        cards = [
            Card(name, tasks.tasks_hash, statements, provenance=provenance)
            for name in ("far", "near")
        ]
        write_cards(cards, tmp_path / "cards.parquet")
        paths = [
            ("--cards", tmp_path / "cards.parquet"),
            ("--tasks", tmp_path / "tasks.json"),
            ("--questions", tmp_path / "questions.parquet"),
        ]
        arguments = [part for pair in paths for part in pair]
        command = ["cards", "drift", name, *arguments, "--max-new-tokens", 2, *options]
        return CliRunner().invoke(app, [str(part) for part in command])

    return run_drift


def test_unchanged_card_holds(drift, tmp_path, upstream):
    result = drift("--zoo", tmp_path / "zoo.yaml", "--num-questions", 20)
    assert result.exit_code == 0, result.output
    assert "10 of 20 correct, 10.0 expected from the card; 0 failed; p = 1" in result.output
    assert "the card holds at significance 0.01" in result.output
    assert upstream.num_requests["/v1/chat/completions"] == 20
    _, headers, body = upstream.requests[0]
    assert headers["Authorization"] == "Bearer sk-secret"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.0, 2)
    assert body["messages"][0]["content"].startswith("What is ")


def test_card_of_another_candidate_does_not_hold(drift, tmp_path):
    # As many right in all, but on the other task.
    options = ("--zoo", tmp_path / "zoo.yaml", "--num-questions", 24, "--json")
    result = drift(*options, counts=(0, SHOTS))
    assert result.exit_code == QualityError.exit_code
    assert result.stderr.startswith("error: the card of 'far' is no longer valid (p = ")
    document = json.loads(result.stdout)
    assert (document["holds"], document["num_correct"], document["num_failed"]) == (False, 12, 0)
    assert document["overall_p_value"] == pytest.approx(1.0)
    assert document["p_value"] < 1e-4


def test_served_candidate_is_requested_by_name_with_examples(drift, tmp_path, upstream):
    options = ("--url", upstream.url, "--shots", 1, "--examples", tmp_path / "examples.parquet")
    result = drift(*options, "--num-questions", 4, name="near")
    assert result.exit_code == 0, result.output
    _, headers, body = upstream.requests[0]
    assert "Authorization" not in headers
    assert body["model"] == "near"
    assert [message["content"] for message in body["messages"]][:2] == ["What is e?", "an e"]


def test_failed_questions_do_not_count_as_wrong(drift, tmp_path, upstream):
    upstream.behave(context_words=2)
    result = drift("--zoo", tmp_path / "zoo.yaml", "--num-questions", 10)
    assert result.exit_code == GradingError.exit_code
    assert "failed on 10 of 10 questions" in result.stderr


def test_requests_equal_those_of_profiling(drift, tmp_path, upstream):
    fields = "{temperature: null, max_tokens: null, max_completion_tokens: 2, top_p: 0.5}"
    options = ("--zoo", tmp_path / "zoo.yaml", "--num-questions", 2)
    assert drift(*options, "--request-fields", fields).exit_code == 0
    _, _, body = upstream.requests[0]
    assert body.pop("messages")
    assert body == {"model": "m", "max_completion_tokens": 2, "top_p": 0.5}


@pytest.mark.parametrize("fields", ["[", "text", "{model: other}"])
def test_rejects_invalid_request_fields(drift, tmp_path, upstream, fields):
    result = drift(
        *("--zoo", tmp_path / "zoo.yaml", "--num-questions", 2), "--request-fields", fields
    )
    assert result.exit_code == ConfigError.exit_code
    assert result.stderr.startswith("error: --request-fields")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "message", "text"),
    [
        (200, {"content": "B"}, "B"),
        (200, {"content": None}, ""),  # as profiling reads it: an answer that names nothing
        (200, {}, None),
        (200, {"content": 7}, None),
        (400, {"content": None}, None),
    ],
)
def test_empty_text_is_an_answer(status, message, text):
    answer = httpx.Response(status, json={"choices": [{"message": message}]})
    assert _text(answer) == text


def test_transient_failures_are_retried(upstream):
    upstream.behave(statuses=(503, 429))
    pauses = []
    live = LiveCandidate(upstream.url, "m", None)
    chat = [{"role": "user", "content": "x"}]
    [answer] = live.ask_all([chat], fields={"max_tokens": 2}, timeout_s=5, pause=pauses.append)
    assert answer.strip() == SAID
    assert pauses == [0.5, 1.0]
    upstream.behave(status=503)
    assert live.ask_all([chat], fields={"max_tokens": 2}, timeout_s=5, pause=pauses.append) == [
        None
    ]


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ((), ConfigError, "either --zoo"),
        (("--url", "nowhere"), ConfigError, "is not a URL"),
        (("--url", "http://h/v1", "--key-env", "NO_SUCH_KEY"), ZooError, "NO_SUCH_KEY"),
        (("--url", "http://127.0.0.1:9/v1"), MachineError, "cannot be reached"),
        (("--url", "http://127.0.0.1:9/v1", "--num-questions", "25"), ConfigError, "of 24"),
        (("--zoo", "ZOO"), ZooError, "has no URL in"),
    ],
)
def test_user_error_is_one_line(drift, tmp_path, options, error, named):
    zoo = str(tmp_path / "zoo.yaml")
    small = () if "--num-questions" in options else ("--num-questions", "2")
    result = drift(*(zoo if part == "ZOO" else part for part in options), *small, name="near")
    assert result.exit_code == error.exit_code, result.output
    assert named in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "stated", ["shots=5", "max_new_tokens=16", "scoring=loglikelihood", "chat_template=False"]
)
def test_rejects_other_prompt_settings(drift, upstream, stated):
    options = ("--url", upstream.url, "--num-questions", 4)
    as_asked = "engine=vllm work=1 scoring=generated chat_template=True shots=0 max_new_tokens=2"
    assert drift(*options, provenance=as_asked).exit_code == 0
    result = drift(*options, provenance=f"engine=vllm {stated}")
    assert result.exit_code == ConfigError.exit_code
    name, value = stated.split("=")
    assert f"was made with {name} {value}" in result.stderr


def test_rejected_key_fails_immediately(drift, tmp_path, upstream):
    upstream.behave(status=401)
    result = drift("--zoo", tmp_path / "zoo.yaml", "--num-questions", 2)
    assert result.exit_code == MachineError.exit_code
    assert "refuses model 'm' with HTTP status 401" in result.stderr
    assert "sk-secret" not in result.output
