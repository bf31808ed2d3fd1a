"""``modelsat outcomes``: what is imported goes into the commands that follow."""

import json
from pathlib import Path

from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table
from modelsat.cli.main import app

SAMPLES = Path(__file__).parents[1] / "evaluation_logs" / "samples"


def run(*words: str | Path, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == exit_code, result.output
    return result.stderr if exit_code else result.stdout


def test_a_log_becomes_tables_that_say_where_they_come_from(tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--licence", "CC BY 4.0", "--source", "ours", "--json")
    said = json.loads(run("outcomes", "import", "lm_eval", SAMPLES / "lm_eval", *options))
    assert (said["num_questions"], said["num_outcomes"]) == (4, 8)
    assert said["num_by_candidate"] == {"org/model-a": 4, "org/model-b": 4}
    assert said["left_out"]["rows of further filters"] == 4
    assert read_table(QUESTIONS, tmp_path / "questions.parquet").num_rows == 4
    assert set(read_table(OUTCOMES, tmp_path / "outcomes.parquet")["source"].to_pylist()) == {
        "ours"
    }
    assert read_manifest(tmp_path / "questions.parquet")["licence"] == "CC BY 4.0"


def test_imported_answers_can_be_graded_again(tmp_path: Path) -> None:
    run("outcomes", "import", "lm_eval", SAMPLES / "lm_eval", "--out", tmp_path)
    tables = ("--questions", tmp_path / "questions.parquet")
    said = run("regrade", *tables, "--outcomes", tmp_path / "outcomes.parquet")
    assert "0 of 8 grades changed" in said


def test_what_is_left_out_is_printed(tmp_path: Path) -> None:
    said = run("outcomes", "import", "embedllm", SAMPLES / "embedllm", "--out", tmp_path)
    assert "left out: 1 further answers of a candidate to the same question" in said
    assert "4 outcomes of 2 candidates on 2 questions" in said


def test_formats_are_listed() -> None:
    listed = {row["format"] for row in json.loads(run("outcomes", "formats", "--json"))}
    assert {"lm_eval", "inspect", "routerbench", "table"} <= listed


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    said = run("outcomes", "import", "excel", tmp_path, "--out", tmp_path, exit_code=2)
    assert said.startswith("error: unknown format 'excel'; there are alpaca_eval,")
    missing = ("--questions", tmp_path / "none.parquet")
    said = run("outcomes", "import", "helm", tmp_path, "--out", tmp_path, *missing, exit_code=2)
    assert "none.parquet does not exist" in said
    assert list(tmp_path.iterdir()) == []
