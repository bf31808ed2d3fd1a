import json

from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.cli.main import app
from modelsat.errors import GradingError


def run(*arguments):
    return CliRunner().invoke(app, ["tasks", *map(str, arguments)])


def outcome(question_id, candidate, correct):
    return {"question_id": question_id, "candidate": candidate, "correct": correct}


def test_circle_test_rotates_hard_questions_and_rejects_lucky_answers(tmp_path):
    base = {"benchmark": "b", "task": "t", "answer": "A", "n_choices": 2}
    rows = [{"question_id": q, "prompt": f"{q}?\nA. yes\nB. no", **base} for q in ("easy", "hard")]
    write_table(QUESTIONS, rows, tmp_path / "questions.parquet")
    own = [outcome("easy", name, 1.0) for name in "abcd"]
    own += [outcome("hard", name, float(name == "a")) for name in "abcd"]
    write_table(OUTCOMES, own, tmp_path / "own.parquet")
    rotated = tmp_path / "rotated.parquet"
    tables = ("--questions", tmp_path / "questions.parquet", "--outcomes", tmp_path / "own.parquet")
    result = run("rotate", *tables, "--out", rotated)
    assert result.exit_code == 0, result.output
    [row] = read_table(QUESTIONS, rotated).to_pylist()
    assert (row["question_id"], row["answer"]) == ("hard@rotated-1", "B")
    assert row["prompt"] == "hard?\nA. no\nB. yes"

    def refine(*again):
        write_table(OUTCOMES, list(again), tmp_path / "again.parquet")
        return run(
            *("refine", "--outcomes", tmp_path / "own.parquet", "--rotated", rotated),
            *("--rotated-outcomes", tmp_path / "again.parquet"),
            *("--out", tmp_path / "refined.parquet", "--json"),
        )

    result = refine(outcome("hard@rotated-1", "b", 1.0))
    assert result.exit_code == GradingError.exit_code
    assert not (tmp_path / "refined.parquet").exists()
    result = refine(outcome("hard@rotated-1", "a", 0.0))
    assert json.loads(result.stdout)["num_refuted"] == 1
    refined = read_table(OUTCOMES, tmp_path / "refined.parquet").to_pylist()
    assert [row["correct"] for row in refined] == [1.0] * 4 + [0.0] * 4
