"""Grades by the agreement of candidates, for questions without any reference."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from modelsat.grading.choice import named_options
from modelsat.grading.final_answer import FinalAnswer, read_answer
from modelsat.grading.grade import Grade, GradedQuestion, Kind
from modelsat.grading.mathematics import stated_number
from modelsat.grading.text import TextGrader, stated_text

MIN_VOTERS = 3  # with two, agreement and disagreement say nothing about either
_MAX_COMPARED = 20  # answers, the most common first, that a sentence may name


def vote(question: GradedQuestion, outputs: Mapping[str, str]) -> dict[str, Grade]:
    """Grade the answers of several candidates by how many give the same one.

    An answer that ``votes`` of n candidates give scores (votes + 1) / (n + 2), the rule of
    succession: agreement is weak evidence, so no score is 0 or 1, and few candidates leave it near
    a half. Models that were trained on the same texts share mistakes: do not mix these grades with
    those of other graders without looking at both.

    Args:
        question: a question with the grader ``vote``.
        outputs: complete output of each candidate, by name.

    Returns:
        A grade for each candidate: ungraded if fewer than three answers can be compared, or if its
        own is prose that cannot be; unparsable if it names no option or number.

    Example:
        >>> question = GradedQuestion("2 + 2?", "", args={"by": "number"})
        >>> grades = vote(question, {"a": "4", "b": "It is 4.", "c": "5"})
        >>> [grades[name].score for name in "abc"]
        [0.6, 0.6, 0.4]
    """
    answers = {name: read_answer(text) for name, text in outputs.items()}
    readings = {name: _reading(question, answer) for name, answer in answers.items()}
    if _by(question) == "text":
        readings = _united(readings, answers)
    votes = Counter(reading for reading in readings.values() if reading is not None)
    is_prose = _by(question) == "text"
    return {name: _grade(reading, votes, is_prose=is_prose) for name, reading in readings.items()}


def _grade(reading: Any, votes: Counter[Any], *, is_prose: bool) -> Grade:
    if reading is None and is_prose:
        return Grade(0.0, Kind.UNGRADED, "is too long to be compared")
    if reading is None:
        return Grade(0.0, Kind.UNPARSABLE, "states no answer that can be compared")
    num_voters = votes.total()
    if num_voters < MIN_VOTERS:
        return Grade(0.0, Kind.UNGRADED, f"only {num_voters} candidates answered")
    score = (votes[reading] + 1) / (num_voters + 2)
    return Grade.of_score(score, f"{votes[reading]} of {num_voters} candidates say so")


def _reading(question: GradedQuestion, answer: FinalAnswer) -> Any:
    """Return what an answer says, equal for answers that agree; None if it cannot be read."""
    by = _by(question)
    if by == "choice":
        named = named_options(question, answer)
        return named.pop() if len(named) == 1 else None
    return stated_number(answer)[1] if by == "number" else stated_text(answer)


def _by(question: GradedQuestion) -> str:
    return question.args.get("by") or ("choice" if question.n_choices else "text")


def _united(
    readings: Mapping[str, Any], answers: Mapping[str, FinalAnswer]
) -> dict[str, str | None]:
    """Let a sentence that names the answer of others count as that answer."""
    common = sorted(
        Counter(reading for reading in readings.values() if reading).items(),
        key=lambda item: (-item[1], len(item[0]), item[0]),
    )[:_MAX_COMPARED]
    return {name: _named(answers[name], common) or readings[name] for name in readings}


def _named(answer: FinalAnswer, common: list[tuple[str, int]]) -> str | None:
    for reading, _ in common:
        grade = TextGrader().grade(GradedQuestion("", reading), answer)
        if grade.kind is Kind.CORRECT:
            return reading
    return None
