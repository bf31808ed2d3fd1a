"""The graders by name: choose the grader of a question, check the question, grade an answer."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from referencing.exceptions import Unresolvable

from modelsat.errors import ArtifactError
from modelsat.grading.choice import ChoiceGrader, gold_letter
from modelsat.grading.code import CodeGrader
from modelsat.grading.final_answer import read_answer
from modelsat.grading.grade import JUDGE, VOTE, Grade, GradedQuestion, Grader, Kind
from modelsat.grading.instructions import InstructionsGrader
from modelsat.grading.later import JudgeGrader, VoteGrader
from modelsat.grading.matching import ContainsGrader, RegexGrader
from modelsat.grading.mathematics import MathGrader, NumberGrader
from modelsat.grading.structured import JsonSchemaGrader, ToolCallGrader
from modelsat.grading.text import TextGrader

GRADERS: dict[str, Grader] = {
    "choice": ChoiceGrader(),
    "text": TextGrader(),
    "number": NumberGrader(),
    "math": MathGrader(),
    "contains": ContainsGrader(),
    "regex": RegexGrader(),
    "json_schema": JsonSchemaGrader(),
    "tool_call": ToolCallGrader(),
    "code": CodeGrader(),
    "instructions": InstructionsGrader(),
    JUDGE: JudgeGrader(),
    VOTE: VoteGrader(),
}


# Exceptions that values of a table may raise; exceptions that any answer may raise.
_UNUSABLE = (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError, Unresolvable)
_UNREADABLE = (ArithmeticError, RecursionError, MemoryError, UnicodeError, Unresolvable)
_MAX_REASON_CHARS = 500
_NOTED_KINDS = (Kind.UNPARSABLE, Kind.TRUNCATED, Kind.UNGRADED)  # in the column ``failure``


def grader_name(row: Mapping[str, Any]) -> str:
    """Return the grader of a row of a questions table; by default that of its kind."""
    return row.get("grader") or ("choice" if row.get("n_choices") else "text")


def grader_versions(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the version of every grader that questions want, by name."""
    names = sorted({grader_name(row) for row in rows})
    return {name: GRADERS[name].version for name in names}


def stored_grade(row: Mapping[str, Any], grade: Grade) -> dict[str, Any]:
    """Return the columns of an outcomes table that a grade fills."""
    is_default = grader_name(row) == grader_name({"n_choices": row.get("n_choices")})
    return {
        "correct": None if grade.kind is Kind.UNGRADED else grade.score,
        "failure": grade.kind.value if grade.kind in _NOTED_KINDS else None,
        "grader": None if is_default else grader_name(row),
    }


def has_failed(row: Mapping[str, Any]) -> bool:
    """Return whether a row of an outcomes table holds no answer, and not merely no grade."""
    is_waiting = (row.get("failure") or "").startswith(Kind.UNGRADED.value)
    return row.get("correct") is None and not is_waiting


def check_question(row: Mapping[str, Any]) -> None:
    """Check that a question can be graded, and that its gold answer is right by its own grader.

    Args:
        row: of a questions table.

    Raises:
        ArtifactError: the grader is unknown, its settings or the gold answer are unusable; the
            message names the question.
    """
    name = grader_name(row)
    try:
        if name not in GRADERS:
            raise ValueError(f"unknown grader {name!r}; there are {', '.join(GRADERS)}")
        question = graded_question(row)
        GRADERS[name].check(question)
        own = GRADERS[name].own_answer(question)
        if own is not None:
            grade = GRADERS[name].grade(question, read_answer(own))
            if grade.kind is not Kind.CORRECT:
                raise ValueError(
                    f"the gold answer {row['answer']!r} is {grade.kind} by its own grader "
                    f"{name!r} ({grade.reason})"
                )
    except _UNUSABLE as error:
        reason = str(error) or type(error).__name__
        raise ArtifactError(
            f"question {row.get('question_id')!r}: {reason[:_MAX_REASON_CHARS]}"
        ) from None


def stated_question(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question as the table holds it, from a row as people write it.

    Gold answers and settings may be JSON values in place of their text, and the gold answer of a
    choice its number from 0, its letter in any form, or its text.

    Raises:
        ArtifactError: as :func:`check_question`.
    """
    row = dict(row)
    for name in ("answer", "grader_args"):
        value = row.get(name)
        if isinstance(value, list | dict):
            row[name] = json.dumps(value)
        elif value is not None:
            row[name] = str(value)
    row["answer"] = row.get("answer") or ""
    check_question(row)
    if grader_name(row) == "choice":
        row["answer"] = gold_letter(graded_question(row))
    return row


def grade_answer(row: Mapping[str, Any], output: str, finish_reason: str | None = None) -> Grade:
    """Grade an answer to a question.

    Args:
        row: the question's row, one that passed :func:`check_question`.
        output: the candidate's output, reasoning included.
        finish_reason: why generation ended, as the OpenAI API names it.

    Example:
        >>> row = {"prompt": "1 + 1?", "answer": "2", "grader": "number"}
        >>> grade_answer(row, "<think>One and one.</think> It is 2.").kind.value
        'correct'
    """
    answer = read_answer(output, finish_reason)
    try:
        return GRADERS[grader_name(row)].grade(graded_question(row), answer)
    except _UNREADABLE as error:
        return Grade.of_score(0.0, f"cannot be read: {type(error).__name__}")


def graded_question(row: Mapping[str, Any]) -> GradedQuestion:
    """Return a row of a questions table as graders see it.

    Raises:
        ValueError: ``grader_args`` is not a JSON object.
    """
    args = row.get("grader_args") or {}
    if isinstance(args, str):
        try:
            args = json.loads(args)
        except ValueError as error:
            raise ValueError(f"grader_args {args!r} is not JSON: {error}") from None
    if not isinstance(args, Mapping):
        raise ValueError(f"grader_args {args!r} must be a JSON object")
    if not isinstance(row["prompt"], str):
        raise ValueError(f"the prompt is {row['prompt']!r}; it must be a text")
    return GradedQuestion(row["prompt"], row["answer"], row.get("n_choices") or None, args)
