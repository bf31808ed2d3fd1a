"""Prompts are read from logs, requests and tables; rows without a prompt are counted."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelsat.aptitude.images import ImageWriter, embedded_images
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS, ROUTING_LOG
from modelsat.artifacts.store import write_table
from modelsat.errors import ArtifactError
from modelsat.traffic.prompt import TrafficPrompt
from modelsat.traffic.reading import PromptReader, prompt_files
from tests.support.drawn_images import drawn

TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def lines(folder: Path, *rows: Any) -> Path:
    path = folder / "requests.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def read(path: Path, **options: Any) -> tuple[list[TrafficPrompt], dict[str, int]]:
    reader = PromptReader(**options)
    files = prompt_files([path], without=path / "results")
    return list(reader.read(files)), dict(reader.left_out)


def test_requests_come_as_bodies_as_batches_and_as_completions(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"model": "auto", "messages": [user("Hello?")], "temperature": 0.3, "stream": True},
        {"custom_id": "1", "body": {"messages": [user("Bye?")], "max_tokens": 5}},
        {"prompt": "Once"},
        "",
    )
    prompts, left_out = read(path)
    assert prompts == [TrafficPrompt("Hello?"), TrafficPrompt("Bye?"), TrafficPrompt("Once")]
    assert left_out == {}


def test_what_is_more_than_one_user_message_stays_a_request(tmp_path: Path) -> None:
    talk = [{"role": "system", "content": "Be brief."}, user("A?"), user("B?")]
    path = lines(tmp_path, {"messages": talk, "tools": [TOOL], "user": "x", "seed": 1})
    [prompt], _ = read(path)
    assert prompt == TrafficPrompt("B?", {"messages": talk, "tools": [TOOL]})
    [prompt], _ = read(path, rule="user_turns", turns_chars=9)
    assert prompt.text == "A?\nB?"


def test_gold_answers_are_checked(tmp_path: Path) -> None:
    path = lines(tmp_path, {"messages": [user("1+1?")], "answer": "2", "grader": "number"})
    [prompt], _ = read(path)
    assert prompt.graded == {"answer": "2", "grader": "number"}


@pytest.mark.parametrize(
    "fields",
    [
        {"answer": "several", "grader": "number"},
        {"answer": "B", "n_choices": "2"},
        {"n_choices": 2.5},
        {"answer": "2", "grader": "no such"},
        {"grader": "judge", "grader_args": "{"},
    ],
)
def test_an_unusable_gold_answer_leaves_the_row_out_and_is_not_quoted(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    row = {"messages": [user("1+1?")]}
    prompts, left_out = read(lines(tmp_path, {**row, **fields}, row))
    assert prompts == [TrafficPrompt("1+1?")]
    assert left_out == {"an unusable answer, grader or n_choices": 1}


def test_files_may_begin_with_a_mark_and_hold_lone_surrogates(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    body = json.dumps({"messages": [user("A \ud800 B")], "answer": ""}).encode()
    path.write_bytes(b"\xef\xbb\xbf" + body + b"\r\n" + json.dumps({"prompt": "C"}).encode())
    prompts, _ = read(path)
    assert prompts == [TrafficPrompt("A ? B"), TrafficPrompt("C")]


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"prompt": "A"}\n{"prompt": "caf\xe9"}\n')
    with pytest.raises(ArtifactError, match="line 2: not valid JSON"):
        read(path)


def test_results_and_folders_called_like_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "logs" / "x.jsonl").mkdir(parents=True)
    (tmp_path / "logs" / "results").mkdir()
    for name in ("a.jsonl", "results/b.jsonl", "x.jsonl/c.jsonl"):
        (tmp_path / "logs" / name).write_text(json.dumps({"prompt": name}))
    prompts, _ = read(tmp_path / "logs")
    assert [prompt.text for prompt in prompts] == ["a.jsonl", "x.jsonl/c.jsonl"]


def test_rows_without_a_prompt_are_counted_by_reason(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"messages": [user("Hello?")]},
        {"messages": []},
        [1],
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [user("  ")]},
        {"input": "embed me"},
    )
    prompts, left_out = read(path)
    assert len(prompts) == 1
    assert left_out == {
        "not a chat request: messages must be a list of at least one message": 2,
        "not a request": 1,
        "no text of a user": 2,
    }


def test_a_line_that_is_not_json_is_named_without_its_text(tmp_path: Path) -> None:
    path = lines(tmp_path, {"messages": [user("Hello?")]}, "my secret {")
    with pytest.raises(ArtifactError, match=r"line 2: not valid JSON") as refused:
        read(path)
    assert "secret" not in str(refused.value)


def test_a_routing_log_gives_the_prompts_that_it_holds(tmp_path: Path) -> None:
    row = {
        "question_id": "h",
        "request_id": "r",
        "logged_at": datetime(2026, 1, 1, tzinfo=UTC),
        "profile": "auto",
        "candidate": "a",
        "reason": "best",
        "scores": [],
        "zoo_version": 1,
        "status": 200,
        "attempts": [],
    }
    rows = [
        {**row, "decision_id": str(i), "prompt": text} for i, text in enumerate(["A?", None, " "])
    ]
    (tmp_path / "log").mkdir()
    write_table(ROUTING_LOG, rows, tmp_path / "log" / "1.parquet")
    prompts, left_out = read(tmp_path / "log")
    assert prompts == [TrafficPrompt("A?")]
    assert prompts[0].question_id == hashlib.sha256(b"A?").hexdigest()  # as in the log
    assert left_out == {"a decision without its prompt": 1, "no text": 1}


def test_a_questions_table_keeps_its_graders(tmp_path: Path) -> None:
    request = {"messages": [user("Look."), user("2?")], "tools": [TOOL]}
    row = {"question_id": "q", "benchmark": "b", "task": "t", "prompt": "2?", "answer": "2"}
    row |= {"grader": "number", "request": json.dumps(request)}
    write_table(QUESTIONS, [row], tmp_path / "q.parquet")
    [prompt], _ = read(tmp_path / "q.parquet")
    assert prompt == TrafficPrompt("2?", request, {"answer": "2", "grader": "number"}, "q")
    asked = prompt.question("topic-00", "words", "vote")
    kept = (asked["question_id"], asked["answer"], asked["grader"], json.loads(asked["request"]))
    assert kept == ("q", "2", "number", request)


@pytest.mark.parametrize("name", ["missing.jsonl", "notes.txt", "empty"])
def test_other_paths_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=name):
        read(tmp_path / name)


def test_a_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_table(OUTCOMES, [{"question_id": "q", "candidate": "a"}], tmp_path / "o.parquet")
    with pytest.raises(ArtifactError, match="lacks the questions columns"):
        read(tmp_path / "o.parquet")


def test_images_of_a_questions_table_become_part_of_the_request(tmp_path: Path) -> None:
    name = ImageWriter(tmp_path).store(drawn("red"), tmp_path)
    row = {"question_id": "q", "benchmark": "b", "task": "t", "prompt": "Colour?", "answer": "red"}
    write_table(QUESTIONS, [{**row, "images": [name]}], tmp_path / "q.parquet")
    [prompt], _ = read(tmp_path / "q.parquet")
    assert prompt.request is not None
    assert embedded_images(prompt.request["messages"]) == [drawn("red")]
