"""Grade stored answers again without a request to a model."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from modelsat.grading.grade import JUDGE, VOTE
from modelsat.grading.graders import grade_answer, grader_name, stored_grade


def regrade(outcomes: pa.Table, questions: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Grade every stored answer again.

    Rows without an answer (failed requests, imported outcomes without text), rows of other
    questions and of imported questions without a gold answer stay as they are; so do rows that a
    judge or a vote graded, unless the question now names another grader.

    Args:
        outcomes: outcomes table, or one with more columns.
        questions: rows of the questions table, by id.

    Returns:
        The table with new ``correct``, ``failure`` and ``grader``.
    """
    rows = outcomes.to_pylist()
    for row in rows:
        question = questions.get(row["question_id"])
        if question is not None and row["output"] is not None and _is_ours(row, question):
            grade = grade_answer(question, row["output"], row["finish_reason"])
            row.update(stored_grade(question, grade))
    return pa.Table.from_pylist(rows, schema=outcomes.schema)


def has_gold(question: Mapping[str, Any]) -> bool:
    """Return whether a question says how it is graded; imported ones may come with scores only."""
    return bool(question["answer"] or question.get("grader"))


def _is_ours(row: Mapping[str, Any], question: Mapping[str, Any]) -> bool:
    """Return whether a program grades the answer: not if a judge did, unless the grader changed."""
    if grader_name(question) in (JUDGE, VOTE) or not has_gold(question):
        return False
    is_later = row["grader"] in (JUDGE, VOTE)
    return bool(question.get("grader")) if is_later else row["correct"] is not None


def num_changed(before: pa.Table, after: pa.Table) -> int:
    """Return how many rows have another grade."""
    columns = ["correct", "failure"]
    pairs = zip(before.select(columns).to_pylist(), after.select(columns).to_pylist(), strict=True)
    return sum(one != other for one, other in pairs)
