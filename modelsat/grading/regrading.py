"""Grade stored answers again without a request to a model."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from modelsat.grading.grade import JUDGE, VOTE
from modelsat.grading.graders import grade_answer, stored_grade


def regrade(outcomes: pa.Table, questions: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Grade every stored answer again.

    Rows without an answer (failed requests, imported outcomes without text), rows that a judge or
    a vote graded, and rows of other questions stay as they are.

    Args:
        outcomes: outcomes table, or one with more columns.
        questions: rows of the questions table, by id.

    Returns:
        The table with new ``correct``, ``failure`` and ``grader``.
    """
    rows = outcomes.to_pylist()
    for row in rows:
        question = questions.get(row["question_id"])
        is_ours = row["correct"] is not None and row["grader"] not in (JUDGE, VOTE)
        if question is not None and row["output"] is not None and is_ours:
            grade = grade_answer(question, row["output"], row["finish_reason"])
            row.update(stored_grade(question, grade))
    return pa.Table.from_pylist(rows, schema=outcomes.schema)


def num_changed(before: pa.Table, after: pa.Table) -> int:
    """Return how many rows have another grade."""
    columns = ["correct", "failure"]
    pairs = zip(before.select(columns).to_pylist(), after.select(columns).to_pylist(), strict=True)
    return sum(one != other for one, other in pairs)
