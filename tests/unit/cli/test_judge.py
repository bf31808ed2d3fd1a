"""``modelsat judge`` with a judge of this machine that gives a point for each word in common."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.cli.main import app
from tests.support.judge_server import fair, judging


@pytest.fixture
def tables(tmp_path: Path, loopback: None) -> Path:
    base = {"benchmark": "b", "task": "t"}
    questions = [
        base | {"question_id": "q1", "prompt": "Capital of France?", "answer": "Paris"},
        base | {"question_id": "q2", "prompt": "Capital of Italy?", "answer": "Rome"},
    ]
    write_table(QUESTIONS, questions, tmp_path / "questions.parquet")
    outcomes = [
        {"question_id": "q1", "candidate": "a", "correct": 1.0, "output": "It is Paris."},
        {"question_id": "q2", "candidate": "a", "correct": 1.0, "output": "It is Milan."},
        {"question_id": "q1", "candidate": "judge", "correct": 1.0, "output": "Paris"},
        {"question_id": "q2", "candidate": "b", "correct": 0.0, "output": None},
    ]
    write_table(OUTCOMES, outcomes, tmp_path / "outcomes.parquet", {"made": "here"})
    return tmp_path


def run(folder: Path, url: str, *more: str, exit_code: int = 0) -> str:
    options = ["--questions", folder / "questions.parquet", "--outcomes"]
    options += [folder / "outcomes.parquet", "--out", folder / "judged.parquet", "--url", url]
    words = ["judge", "judge", *map(str, options), *more]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == exit_code, result.output
    return result.stderr if exit_code else result.stdout


def test_answers_get_the_judges_grades_and_its_words(tables: Path) -> None:
    with judging(fair) as (url, bodies):
        said = run(tables, url)
    assert "2 answers graded by judge, 0 without a score, 2 left out" in said
    assert "agrees with 50.0% of the grades before" in said
    rows = read_table(OUTCOMES, tables / "judged.parquet").to_pylist()
    assert [(r["question_id"], r["candidate"], r["correct"]) for r in rows] == [
        ("q1", "a", 1.0),
        ("q2", "a", 0.0),
    ]
    assert {row["grader"] for row in rows} == {"judge"}
    assert '"compared"' in rows[0]["judgement"]
    manifest = read_manifest(tables / "judged.parquet")
    assert (manifest["made"], manifest["judge"], manifest["agreement_fraction"]) == (
        *("here", "judge", 0.5),
    )
    assert len(bodies) == 4  # each answer in both orders
    for body in bodies:
        assert (body["model"], body["temperature"]) == ("judge", 0.0)
        assert '"a"' not in json.dumps(body["messages"])  # no candidate's name


def test_a_judge_grades_itself_only_if_allowed(tables: Path) -> None:
    with judging(fair) as (url, _):
        said = json.loads(run(tables, url, "--allow-itself", "--json"))
    assert (said["num_judged"], said["num_left_out"]) == (3, 1)


def test_an_interrupted_run_asks_only_what_is_missing(tables: Path) -> None:
    with judging(fair) as (url, bodies):
        run(tables, url)
        journal = tables / "judged.parquet.judgements.jsonl"
        first, second = journal.read_text().strip().splitlines()
        journal.write_text(f"{first}\n{second[:20]}")  # killed while it wrote
        (tables / "judged.parquet").unlink()
        run(tables, url)
        assert len(bodies) == 6
    assert read_table(OUTCOMES, tables / "judged.parquet").num_rows == 2


def test_a_judge_that_talks_nonsense_is_named_and_nothing_is_written(tables: Path) -> None:
    with judging(lambda _text: "What a question!") as (url, _):
        said = run(tables, url, exit_code=5)
    assert "'judge' gave no score for 2 of 2 answers" in said
    assert not (tables / "judged.parquet").exists()


def test_a_judge_that_cannot_be_reached_is_one_line(tables: Path) -> None:
    said = run(tables, "http://127.0.0.1:9/v1", exit_code=8)
    assert said.startswith("error: http://127.0.0.1:9/v1 cannot be reached")


def test_grades_that_are_there_are_not_overwritten(tables: Path) -> None:
    outcomes = str(tables / "outcomes.parquet")
    said = run(tables, "http://127.0.0.1:9/v1", "--out", outcomes, exit_code=2)
    assert "outcomes.parquet is also an input; name another file" in said


def test_another_judge_or_rubric_is_asked_again(tables: Path) -> None:
    with judging(fair) as (url, bodies):
        run(tables, url)
        rubric = tables / "rubric.txt"
        rubric.write_text("10: right")
        run(tables, url, "--rubric", str(rubric))
        assert len(bodies) == 8
        run(tables, url, "--rubric", str(rubric))
        assert len(bodies) == 8


def test_a_judges_grades_stay_when_others_are_graded_again(tables: Path) -> None:
    with judging(fair) as (url, _):
        run(tables, url)
    judged = str(tables / "judged.parquet")
    words = ["regrade", "--questions", str(tables / "questions.parquet"), "--outcomes", judged]
    assert "0 of 2 grades changed" in CliRunner().invoke(app, words).stdout


def test_a_changed_grader_grades_what_a_judge_has_graded(tables: Path) -> None:
    with judging(fair) as (url, _):
        run(tables, url)
    rows = read_table(QUESTIONS, tables / "questions.parquet").to_pylist()
    rows = [{**row, "grader": "contains", "answer": "Milan"} for row in rows]
    write_table(QUESTIONS, rows, tables / "questions.parquet")
    judged = str(tables / "judged.parquet")
    words = ["regrade", "--questions", str(tables / "questions.parquet"), "--outcomes", judged]
    assert "2 of 2 grades changed" in CliRunner().invoke(app, words).stdout
    assert read_table(OUTCOMES, judged)["correct"].to_pylist() == [0.0, 1.0]
