"""Graders that need more than the answer: another model, or the answers of the other candidates.

Both leave a complete answer ungraded. :mod:`modelsat.grading.judging` and
:mod:`modelsat.grading.voting` grade it once the run has what they need.
"""

from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion, Kind

VOTE_READINGS = ("choice", "number", "text")


class JudgeGrader:
    """Another model grades the answer; the gold answer is a reference, or empty.

    Settings: ``rubric``, a text that says what scores from 0 to 10 mean.
    """

    version = 1

    def check(self, question: GradedQuestion) -> None:
        """Check the rubric."""
        for name, value in question.args.items():
            if name != "rubric" or not isinstance(value, str) or not value.strip():
                raise ValueError(f"{name} is {value!r}; the only setting is rubric, a text")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return None: only the judge can grade the reference."""
        return None

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Leave a complete answer to the judge."""
        return _ungraded(answer, "waits for a judge")


class VoteGrader:
    """The answers of all candidates are compared; there is no gold answer.

    Settings: ``by``, how answers are read: ``choice`` (default for questions with options),
    ``number``, or ``text`` (default for others).
    """

    version = 1

    def check(self, question: GradedQuestion) -> None:
        """Check that there is no gold answer, and how answers are read."""
        if question.answer.strip():
            raise ValueError(
                f"the gold answer is {question.answer!r}; a vote is for questions without one"
            )
        for name, value in question.args.items():
            if name != "by" or value not in VOTE_READINGS:
                raise ValueError(
                    f"{name} is {value!r}; the only setting is by: {', '.join(VOTE_READINGS)}"
                )
        if question.args.get("by") == "choice" and not question.n_choices:
            raise ValueError("by is 'choice', but the question has no n_choices")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return None: there is no gold answer."""
        return None

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Leave a complete answer to the vote."""
        return _ungraded(answer, "waits for the other candidates")


def _ungraded(answer: FinalAnswer, reason: str) -> Grade:
    if answer.is_cut or not answer.text:
        return Grade.without_result(answer, "is not complete")
    return Grade(0.0, Kind.UNGRADED, reason)
