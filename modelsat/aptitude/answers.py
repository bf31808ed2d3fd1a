"""The questions of a benchmark that every candidate of a zoo answered, and what was left out.

Shapes: Q questions, M candidates, R rows of the outcomes table.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.separation import Floats
from modelsat.errors import ArtifactError, ZooError

TaskColumn = Literal["task", "category"]
MIN_CANDIDATES = 2  # one candidate alone is told apart from nobody


@dataclass(frozen=True)
class ZooAnswers:
    """Complete outcomes: every candidate answered every question.

    Attributes:
        question_ids: Q ids, sorted.
        tasks: Q task names (or categories).
        candidates: M names, ordered by their outcomes, so that names change no result.
        correct_QM: outcomes 0..1, float64 [Q, M].
        num_answers: questions of the benchmark that each candidate answered.
        num_questions: questions of each task in the table.
        excluded: how many questions and outcomes were left out, by reason.
    """

    question_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    candidates: tuple[str, ...]
    correct_QM: Floats
    num_answers: dict[str, int]
    num_questions: dict[str, int]
    excluded: dict[str, int]


def draw(seed: int, question_id: str) -> int:
    """A seeded draw for a question, the same wherever and in whatever order it is made."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{question_id}".encode()).digest()[:8], "big")


def collect_answers(
    questions: pa.Table,
    outcomes: pa.Table,
    *,
    benchmark: str,
    seed: int,
    task_column: TaskColumn = "task",
    candidates: Sequence[str] | None = None,
) -> ZooAnswers:
    """Join questions and outcomes; leave out, and count, what a card cannot rest on.

    Of questions with one ``dup_group`` a seeded draw keeps one. A null outcome is no answer.

    Args:
        questions: questions table.
        outcomes: outcomes table, one outcome for each candidate and question.
        benchmark: whose questions to take.
        seed: seeds the choice among duplicates.
        task_column: column that names the task.
        candidates: who must have answered; None takes everyone with an outcome.

    Raises:
        ArtifactError: no question of the benchmark, a question or an outcome occurs twice,
            correctness is outside 0..1, or no question is left.
        ZooError: a candidate has no outcome, or there are fewer than two.
    """
    rows, excluded = _usable_questions(questions, benchmark, task_column)
    place = {row["question_id"]: i for i, row in enumerate(rows)}
    correct_QM, names = _fill(questions, outcomes, place, benchmark, candidates, excluded)
    answered_QM = ~np.isnan(correct_QM)
    num_answers = {name: int(n) for name, n in zip(names, answered_QM.sum(axis=0), strict=True)}
    complete_Q = answered_QM.all(axis=1)
    excluded["questions not answered by all"] = int((~complete_Q).sum())
    seen: set[str] = set()
    kept = []
    for i in sorted(np.flatnonzero(complete_Q), key=lambda i: draw(seed, rows[i]["question_id"])):
        group = rows[i]["dup_group"] or rows[i]["question_id"]
        if group not in seen:
            seen.add(group)
            kept.append(int(i))
    excluded["questions that repeat another"] = int(complete_Q.sum()) - len(kept)
    if not kept:
        fewest = min(names, key=lambda name: (num_answers[name], name))
        raise ArtifactError(
            f"no question of {benchmark} is answered by all {len(names)} candidates; "
            f"{fewest} answered fewest, {num_answers[fewest]}: name the candidates to use"
        )
    kept.sort(key=lambda i: str(rows[i]["question_id"]))
    correct_QM = correct_QM[kept]
    columns = np.lexsort(correct_QM)
    return ZooAnswers(
        question_ids=tuple(rows[i]["question_id"] for i in kept),
        tasks=tuple(rows[i][task_column] for i in kept),
        candidates=tuple(names[m] for m in columns),
        correct_QM=np.ascontiguousarray(correct_QM[:, columns]),
        num_answers=num_answers,
        num_questions=dict(Counter(row[task_column] for row in rows)),
        excluded=excluded,
    )


def _usable_questions(
    questions: pa.Table, benchmark: str, task_column: TaskColumn
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    repeated = [q for q, n in Counter(questions["question_id"].to_pylist()).items() if n > 1]
    if repeated:
        raise ArtifactError(
            f"{len(repeated)} questions occur more than once, the first is {repeated[0]!r}; "
            "every question_id may occur once"
        )
    own = questions.filter(pc.equal(questions["benchmark"], benchmark))
    if not own.num_rows:
        found = sorted(set(questions["benchmark"].to_pylist()))
        raise ArtifactError(
            f"the questions hold no question of benchmark {benchmark!r}; they have "
            f"{', '.join(found) or 'none at all'}"
        )
    rows = own.select(["question_id", task_column, "prompt", "dup_group"]).to_pylist()
    with_text = [row for row in rows if (row["prompt"] or "").strip()]
    named = [row for row in with_text if (row[task_column] or "").strip()]
    excluded = {
        "questions without text": len(rows) - len(with_text),
        f"questions without {task_column}": len(with_text) - len(named),
    }
    if not named:
        raise ArtifactError(f"no question of {benchmark} has text and a {task_column}")
    return named, excluded


def _fill(
    questions: pa.Table,
    outcomes: pa.Table,
    place: dict[str, int],
    benchmark: str,
    candidates: Sequence[str] | None,
    excluded: dict[str, int],
) -> tuple[Floats, list[str]]:
    known = pa.array(questions["question_id"].to_pylist(), pa.string())
    is_known = pc.is_in(pc.cast(outcomes["question_id"], pa.string()), known)
    excluded["outcomes of unknown questions"] = outcomes.num_rows - int(
        pc.sum(is_known).as_py() or 0
    )
    own = outcomes.filter(
        pc.is_in(pc.cast(outcomes["question_id"], pa.string()), pa.array(list(place), pa.string()))
    )
    names = _chosen(own, benchmark, candidates)
    own = own.filter(pc.is_in(pc.cast(own["candidate"], pa.string()), pa.array(names)))
    column = {name: m for m, name in enumerate(names)}
    row_R = np.array([place[q] for q in own["question_id"].to_pylist()], dtype=np.int64)
    column_R = np.array([column[c] for c in own["candidate"].to_pylist()], dtype=np.int64)
    graded = own["correct"].to_pylist()
    correct_R = np.array([0.0 if c is None else c for c in graded], dtype=np.float64)
    _check_cells(own, row_R * len(names) + column_R, correct_R)
    correct_QM = np.full((len(place), len(names)), np.nan)
    correct_QM[row_R, column_R] = np.where([c is None for c in graded], np.nan, correct_R)
    return correct_QM, names


def _chosen(own: pa.Table, benchmark: str, candidates: Sequence[str] | None) -> list[str]:
    found = sorted(set(own["candidate"].to_pylist()))
    names = sorted(set(found if candidates is None else candidates))
    unknown = [name for name in names if name not in found]
    if unknown:
        raise ZooError(
            f"no outcome on {benchmark} for {', '.join(unknown)}; there are outcomes for "
            f"{', '.join(found) or 'nobody'}"
        )
    if len(names) < MIN_CANDIDATES:
        raise ZooError(
            f"{len(names)} candidates ({', '.join(names) or 'none'}) have outcomes on {benchmark}; "
            f"choosing questions that tell candidates apart takes at least {MIN_CANDIDATES}"
        )
    return names


def _check_cells(own: pa.Table, cell_R: npt.NDArray[np.int64], correct_R: Floats) -> None:
    def shown(r: int) -> str:
        row = own.slice(r, 1).to_pylist()[0]
        return f"candidate {row['candidate']!r}, question {row['question_id']!r}"

    outside_R = np.flatnonzero(~((correct_R >= 0.0) & (correct_R <= 1.0)))
    if len(outside_R):
        raise ArtifactError(
            f"{len(outside_R)} outcomes have correctness outside 0..1; the first is "
            f"{correct_R[outside_R[0]]} ({shown(int(outside_R[0]))})"
        )
    order_R = np.argsort(cell_R, kind="stable")
    again_R = order_R[1:][cell_R[order_R][1:] == cell_R[order_R][:-1]]
    if len(again_R):
        raise ArtifactError(
            f"{len(again_R)} outcomes are second ones of a candidate on a question (two "
            f"sources?); the first is {shown(int(again_R.min()))}: name one source per candidate"
        )
