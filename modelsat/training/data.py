"""Outcomes become a matrix of instructions by candidates.

Shapes: Q instructions, M candidates.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.capability.cards import Card, check_same_tasks
from modelsat.errors import ArtifactError, ZooError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class OutcomeSource(Protocol):
    """Instructions with their outcomes, some at a time: a matrix, or files that hold one."""

    @property
    def cards(self) -> tuple[Card, ...]:
        """The candidates."""

    def __len__(self) -> int:
        """Number of instructions."""

    def pieces(self, seed: Sequence[int]) -> Iterator["OutcomeMatrix"]:
        """Every instruction once, in an order that the seed draws, a few thousand at a time."""

    def sample(self, num_instructions: int, seed: int) -> "OutcomeMatrix":
        """So many instructions drawn at random, or all where there are fewer."""


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

    def pieces(self, seed: Sequence[int]) -> Iterator["OutcomeMatrix"]:
        """See :class:`OutcomeSource`; one piece, as all is in memory."""
        yield self.rows(np.random.default_rng(seed).permutation(len(self)).tolist())

    def sample(self, num_instructions: int, seed: int) -> "OutcomeMatrix":
        """See :class:`OutcomeSource`."""
        order = np.random.default_rng(seed).permutation(len(self))[:num_instructions]
        return self.rows(np.sort(order).tolist())


def joined(parts: Sequence[OutcomeMatrix]) -> OutcomeMatrix:
    """One matrix of the instructions of several with the same cards, at least one."""

    def texts(name: str) -> tuple[str, ...]:
        return tuple(itertools.chain.from_iterable(getattr(part, name) for part in parts))

    return OutcomeMatrix(
        question_ids=texts("question_ids"),
        instructions=texts("instructions"),
        tasks=texts("tasks"),
        categories=texts("categories"),
        groups=texts("groups"),
        cards=parts[0].cards,
        correct_QM=np.concatenate([part.correct_QM for part in parts]),
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
    matrix = join_outcomes(questions, outcomes, cards, exclude_questions=exclude_questions)
    check_answered((~np.isnan(matrix.correct_QM)).sum(axis=0), cards)
    return matrix


def join_outcomes(
    questions: pa.Table,
    outcomes: pa.Table,
    cards: Sequence[Card],
    *,
    exclude_questions: Iterable[str] = (),
) -> OutcomeMatrix:
    """As :func:`build_matrix`, of tables that may be a part only: nothing need be left.

    Raises:
        ArtifactError: two outcomes of one candidate for one question, or correctness outside
            0..1.
    """
    excluded = set(exclude_questions)
    kept = [row for row in questions.to_pylist() if row["question_id"] not in excluded]
    correct_QM = _fill_matrix(
        outcomes, [row["question_id"] for row in kept], [card.candidate for card in cards]
    )
    answered = ~np.isnan(correct_QM).all(axis=1)
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


def check_answered(num_outcomes_M: Ints, cards: Sequence[Card]) -> None:
    """Refuse outcomes that leave a candidate without any.

    Args:
        num_outcomes_M: known outcomes of each candidate.
        cards: the candidates.

    Raises:
        ArtifactError: nobody has an outcome.
        ZooError: some have none.
    """
    if not num_outcomes_M.any():
        raise ArtifactError(
            "no outcome is left: the outcomes answer none of the questions for these candidates"
        )
    without = [card.candidate for card, num in zip(cards, num_outcomes_M, strict=True) if not num]
    if without:
        raise ZooError(
            f"no outcome for {', '.join(without)} on these questions; profile them, or leave "
            "them out"
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
    check_sources(pc.unique(outcomes["source"]).to_pylist(), sources, origin=origin)
    return outcomes.filter(pc.is_in(outcomes["source"], pa.array(sources)))


def check_sources(found: Iterable[str | None], sources: Sequence[str], *, origin: str) -> None:
    """Refuse sources that have no outcome.

    Raises:
        ArtifactError: one has none.
    """
    known = {str(source) for source in found}
    unknown = [source for source in sources if source not in known]
    if unknown:
        raise ArtifactError(
            f"{origin} holds no outcome of source {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(sorted(known))}"
        )


def split_validation(
    matrix: OutcomeMatrix, fraction: float, seed: int
) -> tuple[OutcomeMatrix, OutcomeMatrix]:
    """Split into training and validation by a hash of the duplicate group.

    Raises:
        ArtifactError: a side would be empty.
    """
    held_Q = is_validation(matrix.groups, fraction, seed)
    check_split(int((~held_Q).sum()), int(held_Q.sum()), fraction)
    return (
        matrix.rows(np.flatnonzero(~held_Q).tolist()),
        matrix.rows(np.flatnonzero(held_Q).tolist()),
    )


def is_validation(groups: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which instructions are kept apart, by their duplicate groups."""
    return np.array([unit_hash(f"{seed}/{group}") < fraction for group in groups], dtype=bool)


def check_split(num_training: int, num_validation: int, fraction: float) -> None:
    """Refuse a split that leaves a side empty.

    Raises:
        ArtifactError: one is.
    """
    if not num_training or not num_validation:
        raise ArtifactError(
            f"{num_training + num_validation} instructions are too few to keep {fraction:.0%} "
            "for validation"
        )


def unit_hash(text: str) -> float:
    """A number in [0, 1) that looks drawn at random and is the same wherever it is computed."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _fill_matrix(
    outcomes: pa.Table, question_ids: Sequence[str], candidates: Sequence[str]
) -> Floats:
    """Outcomes [Q, M] of these questions and candidates, NaN where there is none."""
    correct_QM = np.full((len(question_ids), len(candidates)), np.nan, dtype=np.float32)
    places = [
        pc.index_in(outcomes[name], value_set=pa.array(known, pa.string()))
        for name, known in (("question_id", question_ids), ("candidate", candidates))
    ]
    is_ours = pc.and_(pc.is_valid(places[0]), pc.is_valid(places[1]))
    rows, columns = (place.filter(is_ours).to_numpy() for place in places)
    correct = outcomes["correct"].filter(is_ours).cast(pa.float32())
    is_known, values = pc.is_valid(correct).to_numpy(), correct.to_numpy()

    def named(place: int) -> tuple[str, str]:
        return candidates[int(columns[place])], question_ids[int(rows[place])]

    cells, first = np.unique(rows.astype(np.int64) * len(candidates) + columns, return_index=True)
    if len(cells) < len(rows):
        repeated = np.ones(len(rows), dtype=bool)
        repeated[first] = False
        candidate, question_id = named(int(np.flatnonzero(repeated)[0]))
        raise ArtifactError(
            f"candidate {candidate!r} has two outcomes for {question_id!r} (two sources?); "
            "keep one source"
        )
    outside = np.flatnonzero(is_known & ~((values >= 0) & (values <= 1)))
    if len(outside):
        candidate, question_id = named(int(outside[0]))
        raise ArtifactError(
            f"candidate {candidate!r}, question {question_id!r}: correctness "
            f"{values[outside[0]]} is outside 0..1"
        )
    correct_QM[rows, columns] = values
    return correct_QM
