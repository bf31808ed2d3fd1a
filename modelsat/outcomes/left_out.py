"""Count the rows that a join of questions, outcomes and cards leaves out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class LeftOut:
    """Numbers of rows that an evaluation does not see.

    Attributes:
        num_without_question: outcomes on questions that the questions table lacks.
        num_without_card: outcomes of candidates that have no card.
        num_unanswered: questions that no candidate with a card answered.
        num_blank: questions without text.
    """

    num_without_question: int = 0
    num_without_card: int = 0
    num_unanswered: int = 0
    num_blank: int = 0

    def text(self) -> str:
        """Return the counts as a phrase for people; empty if nothing is left out."""
        parts = [
            (self.num_without_question, "outcomes on questions that the questions table lacks"),
            (self.num_without_card, "outcomes of candidates without a card"),
            (self.num_unanswered, "questions that no candidate with a card answered"),
            (self.num_blank, "questions without text"),
        ]
        return ", ".join(f"{count} {what}" for count, what in parts if count)


def with_text(questions: pa.Table) -> pa.Table:
    """Return the questions whose prompt is not blank."""
    return questions.filter(pc.not_equal(pc.utf8_trim_whitespace(questions["prompt"]), ""))


def count_left_out(
    questions: pa.Table,
    outcomes: pa.Table,
    known: Iterable[str],
    *,
    exclude_questions: Sequence[str] = (),
) -> LeftOut:
    """Count the rows that are neither evaluated nor excluded on purpose.

    Args:
        questions: questions table.
        outcomes: outcomes table, of the sources in use.
        known: candidates with a card, including those that are not evaluated.
        exclude_questions: ids excluded on purpose.
    """
    has_card = pc.is_in(outcomes["candidate"], pa.array(list(known), pa.string()))
    asked = questions["question_id"].combine_chunks()
    is_asked = pc.or_(
        pc.is_in(outcomes["question_id"], asked),
        pc.is_in(outcomes["question_id"], pa.array(list(exclude_questions), pa.string())),
    )
    kept = with_text(questions)
    answered = outcomes.filter(has_card)["question_id"].combine_chunks()
    return LeftOut(
        num_without_question=pc.sum(pc.invert(is_asked)).as_py() or 0,
        num_without_card=pc.sum(pc.invert(has_card)).as_py() or 0,
        num_unanswered=pc.sum(pc.invert(pc.is_in(kept["question_id"], answered))).as_py() or 0,
        num_blank=questions.num_rows - kept.num_rows,
    )
