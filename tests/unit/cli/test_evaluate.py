"""``modelsat evaluate`` on tables with rows that it excludes."""

import json

import pytest
from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import write_cards
from modelsat.cli.main import app
from modelsat.errors import ZooError
from modelsat.modeling.checkpoint import save_router
from tests.support.router_parts import make_matrix, make_router

MATRIX = make_matrix(per_topic=6)
ROWS = zip(MATRIX.question_ids, MATRIX.instructions, MATRIX.tasks, strict=True)
TASK = {"benchmark": "toy", "answer": "x"}
ASKED = [TASK | {"question_id": q, "task": task, "prompt": text} for q, text, task in ROWS]
CELLS = [
    {"question_id": q, "candidate": name, "correct": float(MATRIX.correct_QM[i, j])}
    for i, q in enumerate(MATRIX.question_ids)
    for j, name in enumerate(MATRIX.candidates)
]


@pytest.fixture
def evaluate(tmp_path):
    """Runs `evaluate` on the toy matrix and more questions and outcomes."""
    save_router(make_router(tmp_path / "parts"), tmp_path / "router")
    write_cards(MATRIX.cards, tmp_path / "cards.parquet")

    def run(questions=(), outcomes=(), options=()):
        write_table(QUESTIONS, [*ASKED, *questions], tmp_path / "questions.parquet")
        write_table(OUTCOMES, [*CELLS, *outcomes], tmp_path / "outcomes.parquet")
        names = ("router", "cards.parquet", "questions.parquet", "outcomes.parquet", "report")
        words = [
            word for name in names for word in (f"--{name.split('.')[0]}", str(tmp_path / name))
        ]
        return CliRunner().invoke(app, ["evaluate", *words, *options])

    return run


def test_prints_no_exclusions_for_matching_tables(evaluate):
    result = evaluate()
    assert result.exit_code == 0, result.output
    assert "left out" not in result.stderr


def test_excluded_rows_are_counted(evaluate):
    questions = [
        TASK | {"question_id": name, "task": "sums", "prompt": text}
        for name, text in (("blank", " \n"), ("open", "One and one?"), ("open too", "Two?"))
    ]
    cells = [("gone", "earth"), ("gone", "school"), ("gone too", "none")]
    cells += [("blank", "earth"), ("sums/0", "stranger")]
    outcomes = [{"question_id": q, "candidate": name, "correct": 1.0} for q, name in cells]
    result = evaluate(questions, outcomes, ["--json"])
    assert result.exit_code == 0, result.output
    assert result.stderr.endswith(
        "left out: 3 outcomes on questions that the questions table lacks, 1 outcomes of "
        "candidates without a card, 2 questions that no candidate with a card answered, 1 "
        "questions without text\n"
    )
    assert json.loads(result.stdout)["n_questions"] == len(MATRIX)


def test_rejects_a_single_candidate(evaluate):
    result = evaluate(options=["--candidates", "earth"])
    assert result.exit_code == ZooError.exit_code
    assert "routing needs at least two candidates" in result.stderr
