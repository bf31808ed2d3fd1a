"""Scores by task and level, and the page, from made-up outcomes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsat.aptitude.general import TASKS
from tests.benchmarks.forms.measures import FormScores, ModelFigures, scores_by_name
from tests.benchmarks.forms.page import check_figures, write_page


def scores(score: dict[int, float]) -> FormScores:
    """Ten questions of each task; the score follows from the level, and half the tasks are 0."""
    questions: list[dict[str, Any]] = []
    outcomes: list[dict[str, Any]] = []
    for number, task in enumerate(TASKS):
        for n in range(1, 11):
            questions.append({"question_id": f"{task.name}/{n}", "task": task.name})
            outcomes.append(
                {
                    "question_id": f"{task.name}/{n}",
                    "candidate": "m",
                    "correct": score[(n - 1) % 5 + 1] * (number % 2),
                    "failure": "truncated" if n == 1 else None,
                }
            )
    other = [{**row, "candidate": "other", "correct": None} for row in outcomes]
    return scores_by_name(questions, [*reversed(outcomes), *other], 5)["m"]


def test_scores_are_means_by_task_and_by_level() -> None:
    found = scores({1: 1.0, 2: 0.5, 3: 0.5, 4: 0.0, 5: 0.0})
    assert found.by_level_L.tolist() == [0.5, 0.25, 0.25, 0.0, 0.0]
    assert sorted(set(found.by_task_T.tolist())) == pytest.approx([0.0, 0.4])
    assert (found.accuracy, found.num_questions) == (pytest.approx(0.2), 500)
    assert found.num_truncated == 50


def test_unequal_forms_miss_the_limit(tmp_path: Path) -> None:
    easy = scores(dict.fromkeys(range(1, 6), 1.0))
    hard = scores(dict.fromkeys(range(1, 6), 0.5))
    equal, unequal = ModelFigures("m", (easy, easy)), ModelFigures("m", (easy, hard))
    assert [check.is_met for check in check_figures([equal])] == [True, True]
    checks = check_figures([unequal])
    assert [check.is_met for check in checks] == [False, True]
    assert unequal.difference == pytest.approx(0.25)
    without_levels = replace(easy, by_level_L=np.array([]))
    demo = ModelFigures("d", (without_levels, without_levels))
    assert [check.is_met for check in check_figures([demo])] == [True]
    write_page([unequal], [demo], (1, 2), 10, checks, tmp_path / "forms.md")
    page = (tmp_path / "forms.md").read_text()
    assert "| m | 50.0 % | 25.0 % | +25.0 |" in page
    assert "| d | 50.0 % | 50.0 % | +0.0 |" in page
