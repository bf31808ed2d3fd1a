"""A question as graders see it, and the grade: a score from 0 to 1, its kind, and the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from modelsat.grading.final_answer import FinalAnswer

# Graders that do not read an answer alone; in the column ``grader`` of questions and outcomes.
JUDGE = "judge"  # another model grades
VOTE = "vote"  # the other candidates' answers grade


class Kind(StrEnum):
    """The kind of a grade. A failed request has no answer and thus no grade."""

    CORRECT = "correct"
    PARTIAL = "partial"  # a score between 0 and 1
    INCORRECT = "incorrect"
    UNPARSABLE = "unparsable"  # the answer is complete, but names no result
    TRUNCATED = "truncated"  # the answer ended before it named a result
    UNGRADED = "ungraded"  # complete; a judge or the other candidates have yet to grade it


@dataclass(frozen=True)
class Grade:
    """The grade of an answer.

    Attributes:
        score: 0 to 1.
        kind: what the score means.
        reason: what was read from the answer, in one line, for people.
    """

    score: float
    kind: Kind
    reason: str = ""

    @classmethod
    def of_score(cls, score: float, reason: str = "") -> "Grade":
        """Return the grade of an answer that was understood."""
        if score >= 1:
            return cls(1.0, Kind.CORRECT, reason)
        return cls(score, Kind.PARTIAL if score > 0 else Kind.INCORRECT, reason)

    @classmethod
    def without_result(cls, answer: FinalAnswer, reason: str) -> "Grade":
        """Return the grade of an answer that names no result: truncated if it was cut off."""
        return cls(0.0, Kind.TRUNCATED if answer.is_cut else Kind.UNPARSABLE, reason)


@dataclass(frozen=True)
class GradedQuestion:
    """A question as graders see it.

    Attributes:
        prompt: the question as the candidate read it.
        answer: the gold answer: an option's letter, a text, or JSON, as its grader wants it.
        n_choices: number of lettered options, or None.
        args: settings of the grader for this question.
    """

    prompt: str
    answer: str
    n_choices: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


class Grader(Protocol):
    """One way to grade answers.

    Attributes:
        version: raised whenever any answer would get a different grade.
    """

    version: int

    def check(self, question: GradedQuestion) -> None:
        """Check the gold answer and the settings in the questions table.

        Raises:
            ValueError: the gold answer or the settings are unusable, in words for the user.
        """

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold answer as a candidate would say it; None if it is no answer itself."""

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Grade one answer to a question that passed :meth:`check`."""
