"""Outcome matrices in files, read in pieces, for training on more than fits in memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelsat.artifacts.schemas import TableSchema
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import Card
from modelsat.outcomes.matrix import OutcomeMatrix, concatenate

# Outcomes grouped by instruction; `correct` has one value per candidate of a set of cards.
_INSTRUCTIONS = TableSchema(
    name="instructions",
    version=1,
    fields=(
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("category", pa.string()),
        pa.field("dup_group", pa.string()),
        pa.field("correct", pa.list_(pa.float32()), nullable=False),
    ),
    key=("question_id",),
)
# Instructions are shuffled within as many files; every epoch groups other files.
_FILES_PER_PIECE = 4
_TEXTS = ("question_id", "prompt", "task", "category", "dup_group")


@dataclass(frozen=True)
class StoredOutcomes:
    """Instructions with their outcomes in parquet files of some thousand rows.

    Rows must have been assigned to files at random: an epoch shuffles the order of the files,
    and shuffles rows only within a few files at a time.

    Attributes:
        files: the files, each with its number of rows.
        cards: the candidates, in the order of the outcomes.
    """

    files: tuple[tuple[Path, int], ...]
    cards: tuple[Card, ...]

    def __len__(self) -> int:
        """Number of instructions."""
        return sum(num_rows for _, num_rows in self.files)

    def pieces(self, seed: Sequence[int]) -> Iterator[OutcomeMatrix]:
        """See :class:`OutcomeSource`; the next piece is read while the caller uses this one.

        Raises:
            ArtifactError: a file is gone or damaged.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.files))
        starts = range(0, len(order), _FILES_PER_PIECE)
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming = reader.submit(self._read, order[:_FILES_PER_PIECE].tolist())
            for start in starts:
                piece = coming.result()
                following = order[start + _FILES_PER_PIECE : start + 2 * _FILES_PER_PIECE]
                if len(following):
                    coming = reader.submit(self._read, following.tolist())
                yield piece.rows(rng.permutation(len(piece)).tolist())

    def sample(self, num_instructions: int, seed: int) -> OutcomeMatrix:
        """See :class:`OutcomeSource`.

        Raises:
            ArtifactError: a file is gone or damaged.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.files)).tolist()
        num_before = np.cumsum([0, *(self.files[number][1] for number in order)])
        needed = [n for n, num in zip(order, num_before, strict=False) if num < num_instructions]
        found = self._read(needed or order[:1])
        return found.rows(np.sort(rng.permutation(len(found))[:num_instructions]).tolist())

    def _read(self, numbers: Sequence[int]) -> OutcomeMatrix:
        return concatenate([read_outcomes(self.files[number][0], self.cards) for number in numbers])


def write_outcomes(matrix: OutcomeMatrix, path: Path) -> None:
    """Write a matrix as one file, atomically.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    num_candidates = len(matrix.cards)
    offsets = pa.array(np.arange(len(matrix) + 1, dtype=np.int32) * num_candidates)
    texts = (
        matrix.question_ids,
        matrix.instructions,
        matrix.tasks,
        matrix.categories,
        matrix.groups,
    )
    table = pa.table(
        {
            **{n: pa.array(text, pa.string()) for n, text in zip(_TEXTS, texts, strict=True)},
            "correct": pa.ListArray.from_arrays(offsets, pa.array(matrix.correct_QM.ravel())),
        }
    )
    write_table(_INSTRUCTIONS, table, path)


def read_outcomes(path: Path, cards: tuple[Card, ...]) -> OutcomeMatrix:
    """Read a file that :func:`write_outcomes` wrote.

    Args:
        path: the file.
        cards: the candidates, in the order of the outcomes.

    Raises:
        ArtifactError: the file is gone or damaged.
    """
    table = read_table(_INSTRUCTIONS, path)
    texts = {name: tuple(table[name].to_pylist()) for name in _TEXTS}
    correct = table["correct"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return OutcomeMatrix(
        question_ids=texts["question_id"],
        instructions=texts["prompt"],
        tasks=texts["task"],
        categories=texts["category"],
        groups=texts["dup_group"],
        cards=cards,
        correct_QM=correct.reshape(len(table), len(cards)),
    )
