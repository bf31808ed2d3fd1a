"""A training job on toy tables, seconds long."""

from pathlib import Path
from typing import Any

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import write_cards
from tests.unit.router_parts import TASKS, make_matrix


def write_toy_tables(folder: Path) -> Path:
    """Questions, outcomes, cards and tasks of the toy matrix."""
    matrix = make_matrix()
    TASKS.save(folder / "tasks.json")
    write_cards(matrix.cards, folder / "cards.parquet")
    rows = zip(matrix.question_ids, matrix.instructions, matrix.tasks, strict=True)
    questions = [
        {"question_id": q, "benchmark": "toy", "task": task, "prompt": text, "answer": "x"}
        for q, text, task in rows
    ]
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    outcomes = [
        {"question_id": q, "candidate": name, "correct": float(matrix.correct_QM[i, j])}
        for i, q in enumerate(matrix.question_ids)
        for j, name in enumerate(matrix.candidates)
    ]
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    return folder


def job_values(tables: Path, out: Path) -> dict[str, Any]:
    """The job as a configuration file holds it."""
    return {
        "name": "toy",
        "storage_path": str(out / "training"),
        "router_dir": str(out / "router"),
        "data": [
            {
                "questions": [str(tables / "questions.parquet")],
                "outcomes": str(tables / "outcomes.parquet"),
                "cards": str(tables / "cards.parquet"),
                "tasks": str(tables / "tasks.json"),
            }
        ],
        "model": {"base": "tiny", "encoder": "tiny"},
        "training": {
            "batch_size": 8,
            "composites": 8,
            "connector_stage": {
                "epochs": 2,
                "learning_rate": 1e-3,
                "capability_learning_rate": 1e-2,
            },
            "all_stage": {"epochs": 3, "learning_rate": 2e-3, "capability_learning_rate": 3e-3},
        },
    }
