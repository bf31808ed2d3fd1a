"""Scores by task and level, and the page, from made-up outcomes."""

from pathlib import Path
from typing import Any

import pytest

from modelsat.aptitude.general import TASKS
from tests.benchmarks.forms.measures import ModelFigures, _scores
from tests.benchmarks.forms.page import check_figures, write_page


def outcomes(form: int, score: dict[int, float]) -> list[dict[str, Any]]:
    """Every question of ten shots; the score follows from its level, and half the tasks are 0."""
    return [
        {
            "question_id": f"general/{form}/{task.name}/{n:02d}",
            "candidate": "m",
            "correct": score[(n - 1) % 5 + 1] * (number % 2),
            "failure": "truncated" if n == 1 else None,
        }
        for number, task in enumerate(TASKS)
        for n in range(1, 11)
    ]


def test_scores_are_means_by_task_and_by_level() -> None:
    rows = outcomes(1, {1: 1.0, 2: 0.5, 3: 0.5, 4: 0.0, 5: 0.0})
    scores = _scores(rows, "m", 1, 10)
    assert scores.by_level_L.tolist() == [0.5, 0.25, 0.25, 0.0, 0.0]
    assert sorted(set(scores.by_task_T.tolist())) == pytest.approx([0.0, 0.4])
    assert (scores.accuracy, scores.num_questions) == (pytest.approx(0.2), 500)
    assert scores.num_truncated == 50


def test_unequal_forms_miss_the_limit(tmp_path: Path) -> None:
    easy = _scores(outcomes(1, dict.fromkeys(range(1, 6), 1.0)), "m", 1, 10)
    hard = _scores(outcomes(2, dict.fromkeys(range(1, 6), 0.5)), "m", 2, 10)
    equal, unequal = ModelFigures("m", (easy, easy)), ModelFigures("m", (easy, hard))
    assert [check.is_met for check in check_figures([equal])] == [True, True]
    checks = check_figures([unequal])
    assert [check.is_met for check in checks] == [False, True]
    assert unequal.difference == pytest.approx(0.25)
    write_page([unequal], (1, 2), 10, checks, tmp_path / "forms.md")
    assert "| m | 50.0 % | 25.0 % | +25.0 |" in (tmp_path / "forms.md").read_text()
