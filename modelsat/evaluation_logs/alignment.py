"""Answers of many candidates aligned by the text of their questions, and written in pieces.

Memory grows by about 80 bytes for each answer and 140 for each question, whatever their length
(measured with tracemalloc).
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import TableWriter, open_table, read_table
from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer
from modelsat.grading.choice import gold_letter
from modelsat.grading.grade import GradedQuestion
from modelsat.grading.graders import check_question
from modelsat.progress import Progress

QUESTIONS_FILE = "questions.parquet"
OUTCOMES_FILE = "outcomes.parquet"
_PIECE = 20_000  # rows that are written at once


@dataclass(frozen=True)
class Source:
    """Where outcomes come from.

    Attributes:
        name: of the source, in the outcomes' column ``source``.
        benchmark: of questions whose log names none.
        licence: note on the terms of use, kept in the manifest.
        candidate: name for all answers; None takes the names in the log.
    """

    name: str
    benchmark: str
    licence: str = ""
    candidate: str | None = None


@dataclass
class Imported:
    """Counts of an import.

    Attributes:
        num_questions: questions.
        num_outcomes: outcomes.
        num_by_candidate: outcomes of each candidate.
        left_out: rows that were not used, by reason.
    """

    num_questions: int = 0
    num_outcomes: int = 0
    num_by_candidate: Counter[str] = field(default_factory=Counter)
    left_out: Mapping[str, int] = field(default_factory=dict)


def write_outcomes(
    answers: Iterable[LoggedAnswer],
    source: Source,
    out: Path,
    left_out: LeftOut,
    known: Path | None = None,
) -> Imported:
    """Write ``questions.parquet`` and ``outcomes.parquet``.

    A question is its benchmark and its text, apart from white space. The first answer of a
    candidate to a question counts. A row whose gold answer differs from that of the same question
    before it does not align and is left out.

    Args:
        answers: as a reader yields them.
        source: where they come from.
        out: folder of the two tables.
        left_out: counts the rows that are not imported, here and by the reader.
        known: questions table to align with: only its questions are used, with their ids.

    Raises:
        ArtifactError: no row is left; nothing is written.
    """
    aligner = _Aligner(source, left_out, known)
    progress = Progress("import", None, "rows")
    with (
        progress,
        open_table(QUESTIONS, out / QUESTIONS_FILE) as questions,
        open_table(OUTCOMES, out / OUTCOMES_FILE) as outcomes,
    ):
        pieces = _Pieces(questions), _Pieces(outcomes)
        for answer in _well_formed(answers):
            progress.advance(1)
            question, outcome = aligner.align(answer)
            for piece, row in zip(pieces, (question, outcome), strict=True):
                if row is not None:
                    piece.add(row)
        for piece in pieces:
            piece.flush()
        found = aligner.imported
        found.left_out = dict(left_out.counts)
        if not found.num_outcomes:
            reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.counts.items())
            raise ArtifactError(f"no outcome could be read; left out: {reasons or 'nothing'}")
        facts = {"source": source.name, "licence": source.licence, "left_out": found.left_out}
        questions.manifest = outcomes.manifest = facts
    return found


def _well_formed(answers: Iterable[LoggedAnswer]) -> Iterator[LoggedAnswer]:
    """Yield answers; values of another shape than a format has are one readable error."""
    try:
        for answer in answers:
            texts = {
                name: value.encode("utf-8", "replace").decode()
                for name in ("candidate", "prompt", "answer", "output", "task", "benchmark")
                if isinstance(value := getattr(answer, name), str)
            }
            yield replace(answer, **texts)  # type: ignore[arg-type]
    except (AttributeError, TypeError, KeyError, IndexError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ArtifactError(f"the log has not the shape of its format ({reason})") from None


class _Pieces:
    """Rows of a table on their way to a file."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _PIECE:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write(self._rows)
            self._rows = []


class _Aligner:
    """Gives answers their question, and refuses what does not align."""

    def __init__(self, source: Source, left_out: LeftOut, known: Path | None) -> None:
        self._source = source
        self._left_out = left_out
        self._known = None if known is None else _rows_by_text_and_id(known)
        # Hash of the gold answer by hash of the question; None where no row has stated it.
        self._gold: dict[bytes, int | None] = {}
        self._answered: set[int] = set()
        self.imported = Imported()

    def align(self, answer: LoggedAnswer) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return the rows to write: the question if it is new, and the outcome."""
        text = comparable_prompt(answer.prompt) or answer.question_id
        candidate = self._source.candidate or answer.candidate
        if not text or not candidate:
            missing = "a question's text" if not text else "a candidate's name"
            self._left_out.add(f"rows without {missing}")
            return None, None
        benchmark = answer.benchmark or self._source.benchmark
        digest = blake2b(f"{benchmark}\0{text}".encode(), digest_size=16).digest()
        question_id = f"{benchmark}/{digest.hex()[:16]}"
        row = _question_row(question_id, benchmark, answer)
        if self._known is None and not answer.prompt:
            self._left_out.add(
                "answers that name a question by its id; give --questions with these ids"
            )
            return None, None
        if self._known is not None:
            if text not in self._known:
                self._left_out.add("answers to questions that the table does not hold")
                return None, None
            row = self._known[text]
            digest = blake2b(row["question_id"].encode(), digest_size=16).digest()
        stated_gold = _comparable_gold(row | {"answer": answer.answer})
        of_table = _comparable_gold(row) if self._known is not None else ""
        if stated_gold and of_table and stated_gold != of_table:
            self._left_out.add("answers whose gold answer is not the table's")
            return None, None
        gold = hash(stated_gold) if stated_gold else None
        if None not in (gold, self._gold.get(digest)) and gold != self._gold[digest]:
            self._left_out.add("answers whose question has another gold answer in another row")
            return None, None
        key = hash((digest, candidate))
        if key in self._answered:
            self._left_out.add("further answers of a candidate to the same question")
            return None, None
        self._answered.add(key)
        is_new = digest not in self._gold
        if is_new and self._known is None:
            row |= self._checked_gold(row)
        self._gold[digest] = self._gold.get(digest) or gold
        self.imported.num_outcomes += 1
        self.imported.num_questions += is_new
        self.imported.num_by_candidate[candidate] += 1
        outcome = _outcome_row(row["question_id"], candidate, self._source.name, answer)
        return (row if is_new else None), outcome

    def _checked_gold(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the gold answer of a choice as its letter; without it if it is unusable."""
        if not row["answer"]:
            return {}
        if row["n_choices"] and not row["grader"]:
            letter = _letter(row)
            if letter is None:
                self._left_out.add(
                    "gold answers that name no option; the questions are kept without"
                )
                return {"answer": "", "n_choices": None}
            return {"answer": letter}
        try:
            check_question(row)
        except ArtifactError:
            self._left_out.add(
                "gold answers that their own grader refuses; the questions are kept without"
            )
            return {"answer": ""}
        return {}


def _letter(row: Mapping[str, Any]) -> str | None:
    return gold_letter(GradedQuestion(row["prompt"], row["answer"], row["n_choices"], {}))


def _comparable_gold(row: Mapping[str, Any]) -> str:
    """Return a gold answer in the form in which those of several rows are compared."""
    gold = " ".join(row["answer"].casefold().split())
    is_letter = len(gold) == 1 and gold.isalpha()
    if gold and not is_letter and row["n_choices"] and not row["grader"]:
        return (_letter(row) or gold).casefold()
    return gold


def comparable_prompt(prompt: str) -> str:
    """Return a prompt in the form in which prompts of several logs are compared."""
    return " ".join(unicodedata.normalize("NFC", prompt).split())


def _rows_by_text_and_id(path: Path) -> dict[str, dict[str, Any]]:
    rows = read_table(QUESTIONS, path).to_pylist()
    by_id = {row["question_id"]: row for row in rows}
    return by_id | {comparable_prompt(row["prompt"]): row for row in rows}


def _question_row(question_id: str, benchmark: str, answer: LoggedAnswer) -> dict[str, Any]:
    return {
        "question_id": question_id,
        "benchmark": benchmark,
        "task": answer.task or benchmark,
        "prompt": answer.prompt,
        "answer": answer.answer,
        "n_choices": answer.n_choices,
        "grader": answer.grader,
    }


def _outcome_row(
    question_id: str, candidate: str, source: str, answer: LoggedAnswer
) -> dict[str, Any]:
    return {
        "question_id": question_id,
        "candidate": candidate,
        "source": source,
        "correct": answer.score,
        "latency_s": answer.latency_s,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "cost_usd": answer.cost_usd,
        "output": answer.output,
        "finish_reason": answer.finish_reason,
    }
