"""``modelsat grade`` and ``modelsat regrade`` on files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.cli.main import app

ROWS = [
    {"id": 1, "prompt": "1 + 1?", "answer": "2", "grader": "number", "output": "It is 2."},
    {"id": 2, "prompt": "Who?", "answer": ["Ann", "Anna"], "grader": "text", "output": "Anna"},
    {"id": 3, "prompt": "Which?", "answer": "A", "n_choices": 2, "output": "<think>A"},
]


def run(*words: str | Path, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == exit_code, result.output
    return result.stderr if exit_code else result.stdout


def save(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_grades_of_a_file_are_printed_with_their_kinds(tmp_path: Path) -> None:
    printed = json.loads(run("grade", save(tmp_path / "rows.jsonl", ROWS), "--json"))
    assert printed["kinds"] == {"correct": 2, "truncated": 1}
    assert [(row["id"], row["score"]) for row in printed["rows"]] == [(1, 1.0), (2, 1.0), (3, 0.0)]
    assert printed["num_expected"] == 0


def test_expected_grades_decide_the_exit_code(tmp_path: Path) -> None:
    right = [row | {"expect": kind} for row, kind in zip(ROWS, ("correct",) * 3, strict=True)]
    right[2]["expect"] = "truncated"
    assert "3 of 3 agree" in run("grade", save(tmp_path / "right.jsonl", right))
    right[0]["expect"] = "incorrect"
    said = run("grade", save(tmp_path / "wrong.jsonl", right), exit_code=5)
    assert "1 of 3 grades differ from the expected ones, the first in line 1" in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no row"),
        ("{", "line 1: not valid JSON"),
        ('{"prompt": "x"}', "line 1: missing fields: answer, output"),
        ('{"prompt": "", "answer": "x", "output": "y", "grader": "no"}', "line 1: unknown grader"),
        ('{"prompt": "", "answer": "x", "output": 7}', "line 1: output is '7'; it must be a text"),
        ('{"prompt": "", "answer": "x", "output": "", "expect": "rihgt"}', "expect is 'rihgt'"),
        ('{"prompt": "", "answer": "x", "output": "", "n_choices": "4"}', "n_choices is '4'"),
    ],
)
def test_a_file_that_cannot_be_graded_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    assert reason in run("grade", tmp_path / "rows.jsonl", exit_code=3)


def test_a_row_that_cannot_be_graded_does_not_stop_the_others(tmp_path: Path) -> None:
    rows = [
        {"prompt": "1 + 1?\nA. 1\nB. 2", "answer": "Z", "n_choices": 2, "output": "B"},
        {"prompt": "1 + 1?\nA. 1\nB. 2", "answer": "B", "n_choices": 2.0, "output": "B"},
    ]
    path = save(tmp_path / "rows.jsonl", rows)
    result = CliRunner().invoke(app, ["grade", str(path), "--json"])
    assert json.loads(result.stdout)["kinds"] == {"refused": 1, "correct": 1}
    said = run("grade", path, exit_code=3)
    assert "1 of 2 rows cannot be graded, the first in line 1: the gold answer 'Z'" in said


def test_imported_outcomes_without_a_gold_answer_keep_their_grade(tmp_path: Path) -> None:
    question = {"question_id": "q1", "benchmark": "b", "task": "t", "prompt": "?", "answer": ""}
    write_table(QUESTIONS, [question], tmp_path / "q.parquet")
    row = {"question_id": "q1", "candidate": "c", "correct": 0.5, "output": "words"}
    write_table(OUTCOMES, [row], tmp_path / "o.parquet")
    options = ("--questions", tmp_path / "q.parquet", "--outcomes", tmp_path / "o.parquet")
    assert "0 of 1 grades changed" in run("regrade", *options)
    assert read_table(OUTCOMES, tmp_path / "o.parquet")["correct"].to_pylist() == [0.5]


def test_stored_answers_are_graded_as_the_questions_say_now(tmp_path: Path) -> None:
    question = {"question_id": "q1", "benchmark": "b", "task": "t", "prompt": "?", "answer": "4"}
    outcome = {"question_id": "q1", "candidate": "c", "correct": 0.0}
    answers = [
        outcome | {"output": "It has 4 legs."},
        outcome | {"candidate": "silent", "correct": 1.0},
        outcome | {"candidate": "failed", "correct": None, "failure": "failed: no answer"},
    ]
    write_table(QUESTIONS, [question | {"grader": "number"}], tmp_path / "questions.parquet")
    write_table(OUTCOMES, answers, tmp_path / "outcomes.parquet", {"made": "here"})
    options = ("--questions", tmp_path / "questions.parquet", "--outcomes")
    said = run(
        "regrade", *options, tmp_path / "outcomes.parquet", "--out", tmp_path / "new.parquet"
    )
    assert "1 of 3 grades changed; 2 rows hold no answer and 0 are of other questions" in said
    after = read_table(OUTCOMES, tmp_path / "new.parquet").to_pylist()
    assert [row["correct"] for row in after] == [1.0, 1.0, None]
    assert [row["grader"] for row in after] == ["number", None, None]
    manifest = read_manifest(tmp_path / "new.parquet")
    assert (manifest["made"], list(manifest["graders"])) == ("here", ["number"])
    assert read_table(OUTCOMES, tmp_path / "outcomes.parquet")["correct"].to_pylist()[0] == 0.0
    write_table(QUESTIONS, [question | {"question_id": "q2"}], tmp_path / "questions.parquet")
    refused = CliRunner().invoke(
        app, ["regrade", *map(str, options), str(tmp_path / "outcomes.parquet")]
    )
    assert refused.exit_code != 0
    assert "none of its 3 rows answers a question of" in " ".join(refused.output.split())
