"""Outcomes as a matrix of instructions by candidates.

Shapes: Q instructions, M candidates.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from modelsat.capability.cards import Card

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class OutcomeSource(Protocol):
    """Instructions with their outcomes, read in pieces: a matrix in memory, or files."""

    @property
    def cards(self) -> tuple[Card, ...]:
        """Cards of the candidates."""

    def __len__(self) -> int:
        """Number of instructions."""

    def pieces(self, seed: Sequence[int]) -> Iterator["OutcomeMatrix"]:
        """Yield every instruction once, in a random order, some thousands at a time."""

    def sample(self, num_instructions: int, seed: int) -> "OutcomeMatrix":
        """Return a random sample of instructions, or all of them if there are fewer."""


@dataclass(frozen=True)
class OutcomeMatrix:
    """Instructions and how each candidate answered them.

    Attributes:
        question_ids: Q ids.
        instructions: Q prompts.
        tasks: Q task names.
        categories: Q categories; empty where the table has none.
        groups: Q duplicate groups; a split never separates a group.
        cards: M cards.
        correct_QM: correctness 0..1, NaN where a candidate has no outcome, float32.
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
        """Return the matrix of the instructions at these indices, in their order."""
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
        """See :class:`OutcomeSource`; yields a single piece because everything is in memory."""
        yield self.rows(np.random.default_rng(seed).permutation(len(self)).tolist())

    def sample(self, num_instructions: int, seed: int) -> "OutcomeMatrix":
        """See :class:`OutcomeSource`."""
        order = np.random.default_rng(seed).permutation(len(self))[:num_instructions]
        return self.rows(np.sort(order).tolist())


def concatenate(parts: Sequence[OutcomeMatrix]) -> OutcomeMatrix:
    """Return the instructions of several matrices as one matrix.

    Args:
        parts: at least one matrix; all have the same cards.
    """

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
