"""Answers as people and models give them get the grade that a careful reader would give.

The answers are in ``*_answers.yaml`` beside this module, by the kind of grade they deserve.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelsat.grading.grade import JUDGE, VOTE, Kind
from modelsat.grading.graders import GRADERS, check_question, grade_answer
from modelsat.grading.sandbox import ALLOW_VARIABLE

FILES = sorted(Path(__file__).parent.glob("*_answers.yaml"))


def read_cases() -> Iterator[tuple[dict[str, Any], str, str | None, Kind]]:
    for file in FILES:
        for question in yaml.safe_load(file.read_text(encoding="utf-8")):
            for kind in Kind:
                for answer in question.get(kind.value, ()):
                    if isinstance(answer, str):
                        yield question, answer, None, kind
                    else:
                        yield question, answer["output"], answer["finish_reason"], kind


CASES = list(read_cases())


@pytest.mark.parametrize(
    ("question", "output", "finish_reason", "kind"),
    CASES,
    ids=[f"{i}-{case[0]['grader']}-{case[3]}" for i, case in enumerate(CASES)],
)
def test_an_answer_gets_the_grade_it_deserves(
    question, output, finish_reason, kind, monkeypatch
) -> None:
    monkeypatch.setenv(ALLOW_VARIABLE, "1")  # our own code, where a kernel has no sandbox
    check_question(question)
    grade = grade_answer(question, output, finish_reason)
    assert grade.kind is kind, grade
    assert grade.score == {Kind.CORRECT: 1.0, Kind.PARTIAL: grade.score}.get(kind, 0.0)
    assert (kind is Kind.PARTIAL) == (0 < grade.score < 1)


def test_every_grader_has_cases() -> None:
    later = {JUDGE, VOTE}  # they grade no answer alone
    assert {question["grader"] for question, *_ in CASES} == set(GRADERS) - later
    assert len(CASES) >= 200
