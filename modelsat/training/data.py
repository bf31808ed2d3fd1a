"""Outcomes become a matrix of instructions by candidates.

Shapes: Q instructions, M candidates.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.capability.cards import Card, check_same_tasks
from modelsat.errors import ArtifactError, ZooError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OutcomeMatrix:
    """Instructions and how each candidate answered them.

    Attributes:
        question_ids: Q ids.
        instructions: Q prompts.
        tasks: Q task names.
        categories: Q categories; empty where the table has none.
        groups: Q duplicate groups; equal ones stay on one side of a split.
        cards: M cards.
        correct_QM: outcomes 0..1, NaN where a candidate has none, float32.
    """

    question_ids: tuple[str, ...]
    instructions: tuple[str, ...]
    tasks: tuple[str, ...]
    categories: tuple[str, ...]
    groups: tuple[str, ...]
    cards: tuple[Card, ...]
    correct_QM: Floats

    def __len__(self) -> int:
        """Number of instructions."""
        return len(self.question_ids)

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names of the M candidates."""
        return tuple(card.candidate for card in self.cards)

    def rows(self, indices: Sequence[int]) -> "OutcomeMatrix":
        """The matrix of some instructions only."""
        return OutcomeMatrix(
            tuple(self.question_ids[i] for i in indices),
            tuple(self.instructions[i] for i in indices),
            tuple(self.tasks[i] for i in indices),
            tuple(self.categories[i] for i in indices),
            tuple(self.groups[i] for i in indices),
            self.cards,
            self.correct_QM[list(indices)],
        )


def build_matrix(
    questions: pa.Table,
    outcomes: pa.Table,
    cards: Sequence[Card],
    *,
    exclude_questions: Iterable[str] = (),
) -> OutcomeMatrix:
    """Join questions, outcomes and cards.

    Args:
        questions: questions table.
        outcomes: outcomes table; rows of candidates without a card are left out.
        cards: the candidates to keep, in order.
        exclude_questions: ids to leave out, those of the aptitude test above all.

    Raises:
        ArtifactError: two outcomes of one candidate for one question, correctness outside
            0..1, or no outcome left.
        ZooError: a card's candidate has no outcome at all.
    """
    if cards:
        check_same_tasks(cards, source="cards")
    excluded = set(exclude_questions)
    kept = [row for row in questions.to_pylist() if row["question_id"] not in excluded]
    row_of = {row["question_id"]: i for i, row in enumerate(kept)}
    column_of = {card.candidate: j for j, card in enumerate(cards)}
    correct_QM = _fill_matrix(outcomes, row_of, column_of)
    answered = ~np.isnan(correct_QM).all(axis=1)
    if not answered.any():
        raise ArtifactError(
            "no outcome is left: the outcomes answer none of the questions for these candidates"
        )
    without = [c for c, j in column_of.items() if np.isnan(correct_QM[:, j]).all()]
    if without:
        raise ZooError(
            f"no outcome for {', '.join(without)} on these questions; profile them, or leave "
            "them out"
        )
    used = [kept[i] for i in np.flatnonzero(answered)]
    return OutcomeMatrix(
        question_ids=tuple(row["question_id"] for row in used),
        instructions=tuple(row["prompt"] for row in used),
        tasks=tuple(row["task"] for row in used),
        categories=tuple(row["category"] or "" for row in used),
        groups=tuple(row["dup_group"] or row["question_id"] for row in used),
        cards=tuple(cards),
        correct_QM=correct_QM[answered],
    )


def load_matrix(
    questions: Sequence[str | Path],
    outcomes: str | Path,
    cards: Sequence[Card],
    *,
    sources: Sequence[str] | None = None,
    exclude_questions: Iterable[str] = (),
) -> OutcomeMatrix:
    """Read tables and join them; see :func:`build_matrix` and :func:`of_sources`.

    Args:
        questions: questions tables (parquet).
        outcomes: outcomes table (parquet).
        cards: the candidates to keep, in order.
        sources: sources of the outcomes to take; None takes all.
        exclude_questions: ids to leave out.

    Raises:
        ArtifactError: a table is missing or malformed, or they do not fit.
        ZooError: a card's candidate has no outcome at all.
    """
    return build_matrix(
        pa.concat_tables([read_table(QUESTIONS, path) for path in questions]),
        of_sources(read_table(OUTCOMES, outcomes), sources, origin=str(outcomes)),
        cards,
        exclude_questions=exclude_questions,
    )


def of_sources(outcomes: pa.Table, sources: Sequence[str] | None, *, origin: str) -> pa.Table:
    """Outcomes of some sources only; two sources may hold one candidate under different prompts.

    Args:
        outcomes: outcomes table.
        sources: values of its column ``source``; None takes all.
        origin: where the table came from, for the message.

    Raises:
        ArtifactError: a source has no outcome.
    """
    if sources is None:
        return outcomes
    found = {str(value) for value in pc.unique(outcomes["source"]).to_pylist()}
    unknown = [source for source in sources if source not in found]
    if unknown:
        raise ArtifactError(
            f"{origin} holds no outcome of source {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(sorted(found))}"
        )
    return outcomes.filter(pc.is_in(outcomes["source"], pa.array(sources)))


def split_validation(
    matrix: OutcomeMatrix, fraction: float, seed: int
) -> tuple[OutcomeMatrix, OutcomeMatrix]:
    """Split into training and validation by a hash of the duplicate group.

    Raises:
        ArtifactError: a side would be empty.
    """
    is_validation = [_unit_hash(f"{seed}/{group}") < fraction for group in matrix.groups]
    training = [i for i, held in enumerate(is_validation) if not held]
    validation = [i for i, held in enumerate(is_validation) if held]
    if not training or not validation:
        raise ArtifactError(
            f"{len(matrix)} instructions are too few to keep {fraction:.0%} for validation"
        )
    return matrix.rows(training), matrix.rows(validation)


def _fill_matrix(outcomes: pa.Table, row_of: dict[str, int], column_of: dict[str, int]) -> Floats:
    correct_QM = np.full((len(row_of), len(column_of)), np.nan, dtype=np.float32)
    filled = np.zeros(correct_QM.shape, dtype=bool)
    columns = [outcomes[name].to_pylist() for name in ("question_id", "candidate", "correct")]
    for question_id, candidate, correct in zip(*columns, strict=True):
        i, j = row_of.get(question_id), column_of.get(candidate)
        if i is None or j is None:
            continue
        if filled[i, j]:
            raise ArtifactError(
                f"candidate {candidate!r} has two outcomes for {question_id!r} (two sources?); "
                "keep one source"
            )
        filled[i, j] = True
        if correct is None:
            continue
        if not 0.0 <= correct <= 1.0:
            raise ArtifactError(
                f"candidate {candidate!r}, question {question_id!r}: correctness {correct} is "
                "outside 0..1"
            )
        correct_QM[i, j] = correct
    return correct_QM


def _unit_hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
