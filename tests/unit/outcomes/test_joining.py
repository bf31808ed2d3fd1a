"""Joining questions, outcomes and cards: what is refused, and how."""

import numpy as np
import pyarrow as pa
import pytest

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.errors import ArtifactError, ZooError
from modelsat.outcomes.joining import build_matrix
from tests.support.router_parts import make_cards


def questions(*ids):
    rows = [
        {"question_id": i, "benchmark": "b", "task": "rivers", "prompt": f"{i}?", "answer": "x"}
        for i in ids
    ]
    return pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)


def outcomes(*cells):
    rows = [
        {"question_id": q, "candidate": f"candidate-{c}", "correct": value} for q, c, value in cells
    ]
    return pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)


def test_outcomes_are_in_their_cells():
    table = outcomes(("q1", 0, 1.0), ("q2", 0, 0.0), ("q2", 1, 0.5), ("q2", 7, 1.0))
    matrix = build_matrix(questions("q1", "q2", "q3"), table, make_cards(2))
    assert matrix.question_ids == ("q1", "q2")
    expected = np.array([[1.0, np.nan], [0.0, 0.5]], dtype=np.float32)
    assert np.array_equal(matrix.correct_QM, expected, equal_nan=True)


def test_excluded_questions_are_not_in_the_matrix():
    table = outcomes(("q1", 0, 1.0), ("q2", 0, 0.0))
    matrix = build_matrix(questions("q1", "q2"), table, make_cards(1), exclude_questions=("q1",))
    assert matrix.question_ids == ("q2",)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_rejects_correctness_outside_0_to_1(value):
    with pytest.raises(ArtifactError, match=r"'q1': correctness .* is outside 0\.\.1"):
        build_matrix(questions("q1"), outcomes(("q1", 0, value)), make_cards(1))


def test_rejects_two_outcomes_for_a_cell():
    table = outcomes(("q1", 0, 1.0), ("q1", 0, 0.0))
    with pytest.raises(ArtifactError, match="two outcomes for 'q1'"):
        build_matrix(questions("q1"), table, make_cards(1))


def test_error_names_a_candidate_without_outcomes():
    with pytest.raises(ZooError, match="no outcome for candidate-1"):
        build_matrix(questions("q1"), outcomes(("q1", 0, 1.0)), make_cards(2))


def test_rejects_outcomes_of_other_questions():
    with pytest.raises(ArtifactError, match="no outcome is left"):
        build_matrix(questions("q1"), outcomes(("q9", 0, 1.0)), make_cards(1))
