"""The questions of a benchmark that every candidate answered, and counts of excluded rows.

Shapes: Q questions, M candidates, R rows of the outcomes table.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.separation import Floats
from modelsat.artifacts.cells import correctness_matrix
from modelsat.errors import ArtifactError, ZooError

TaskColumn = Literal["task", "category"]
MIN_CANDIDATES = 2  # discrimination needs at least two candidates


@dataclass(frozen=True)
class ZooAnswers:
    """Complete outcomes: every candidate answered every question.

    Attributes:
        question_ids: Q ids, sorted.
        tasks: Q task names (or categories).
        candidates: M names, sorted by their outcomes, so that results do not depend on names.
        correct_QM: outcomes 0..1, float64 [Q, M].
        num_answers: questions of the benchmark that each candidate answered.
        num_questions: questions of each task in the table.
        excluded: number of excluded questions and outcomes, by reason.
    """

    question_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    candidates: tuple[str, ...]
    correct_QM: Floats
    num_answers: dict[str, int]
    num_questions: dict[str, int]
    excluded: dict[str, int]


def draw(seed: int, question_id: str) -> int:
    """Return a seeded pseudo-random number for a question, independent of call order."""
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
    """Join questions and outcomes; exclude and count the rows that a card cannot use.

    A seeded draw keeps one question of each ``dup_group``. A null outcome is not an answer.

    Args:
        questions: questions table.
        outcomes: outcomes table, one outcome for each candidate and question.
        benchmark: benchmark to select.
        seed: seeds the choice among duplicates.
        task_column: column that names the task.
        candidates: candidates that must have answered; None selects all that have outcomes.

    Raises:
        ArtifactError: the benchmark has no question, a question or outcome is duplicated,
            correctness is outside 0..1, or no question remains.
        ZooError: a candidate has no outcome, or there are fewer than two candidates.
    """
    rows, excluded = _usable_questions(questions, benchmark, task_column)
    row_of = {row["question_id"]: i for i, row in enumerate(rows)}
    correct_QM, names = _outcome_matrix(
        questions, outcomes, row_of, benchmark, candidates, excluded
    )
    answered_QM = ~np.isnan(correct_QM)
    num_answers = {name: int(n) for name, n in zip(names, answered_QM.sum(axis=0), strict=True)}
    complete_Q = answered_QM.all(axis=1)
    excluded["questions not answered by all"] = int((~complete_Q).sum())
    seen: set[str] = set()
    selected = []
    for i in sorted(np.flatnonzero(complete_Q), key=lambda i: draw(seed, rows[i]["question_id"])):
        group = rows[i]["dup_group"] or rows[i]["question_id"]
        if group not in seen:
            seen.add(group)
            selected.append(int(i))
    excluded["questions that repeat another"] = int(complete_Q.sum()) - len(selected)
    if not selected:
        fewest = min(names, key=lambda name: (num_answers[name], name))
        raise ArtifactError(
            f"no question of {benchmark} is answered by all {len(names)} candidates; "
            f"{fewest} answered the fewest, {num_answers[fewest]}: list the candidates to use"
        )
    selected.sort(key=lambda i: str(rows[i]["question_id"]))
    correct_QM = correct_QM[selected]
    columns = np.lexsort(correct_QM)
    return ZooAnswers(
        question_ids=tuple(rows[i]["question_id"] for i in selected),
        tasks=tuple(rows[i][task_column] for i in selected),
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
            f"{len(repeated)} duplicate questions, the first is {repeated[0]!r}; "
            "question_id must be unique"
        )
    matching = questions.filter(pc.equal(questions["benchmark"], benchmark))
    if not matching.num_rows:
        found = sorted(set(questions["benchmark"].to_pylist()))
        raise ArtifactError(
            f"the table has no questions of benchmark {benchmark!r}; its benchmarks are "
            f"{', '.join(found) or '(none)'}"
        )
    rows = matching.select(["question_id", task_column, "prompt", "dup_group"]).to_pylist()
    with_text = [row for row in rows if (row["prompt"] or "").strip()]
    named = [row for row in with_text if (row[task_column] or "").strip()]
    excluded = {
        "questions without text": len(rows) - len(with_text),
        f"questions without {task_column}": len(with_text) - len(named),
    }
    if not named:
        raise ArtifactError(f"no question of {benchmark} has both text and a {task_column}")
    return named, excluded


def _outcome_matrix(
    questions: pa.Table,
    outcomes: pa.Table,
    row_of: dict[str, int],
    benchmark: str,
    candidates: Sequence[str] | None,
    excluded: dict[str, int],
) -> tuple[Floats, list[str]]:
    ids = pc.cast(outcomes["question_id"], pa.string())
    known = pa.array(questions["question_id"].to_pylist(), pa.string())
    num_known = pc.sum(pc.is_in(ids, known)).as_py() or 0
    excluded["outcomes of unknown questions"] = outcomes.num_rows - num_known
    used = outcomes.filter(pc.is_in(ids, pa.array(list(row_of), pa.string())))
    names = _select_candidates(used, benchmark, candidates)
    return correctness_matrix(used, list(row_of), names), names


def _select_candidates(
    outcomes: pa.Table, benchmark: str, candidates: Sequence[str] | None
) -> list[str]:
    found = sorted(set(outcomes["candidate"].to_pylist()))
    names = sorted(set(found if candidates is None else candidates))
    unknown = [name for name in names if name not in found]
    if unknown:
        raise ZooError(
            f"no outcome on {benchmark} for {', '.join(unknown)}; candidates with outcomes: "
            f"{', '.join(found) or '(none)'}"
        )
    if len(names) < MIN_CANDIDATES:
        raise ZooError(
            f"{len(names)} candidates ({', '.join(names) or 'none'}) have outcomes on {benchmark}; "
            f"selecting questions that distinguish candidates needs at least {MIN_CANDIDATES}"
        )
    return names
