"""Convert outcomes of any size to training files: joined, shuffled and split by Ray Data.

Questions and outcomes are joined in buckets by a hash of the question. A process holds only one
bucket (a few thousand questions) in memory; the files do not depend on which machine writes them.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
import ray.data
from ray.exceptions import RayTaskError

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS, TableSchema
from modelsat.artifacts.store import atomic_directory, check_table, read_json, write_json
from modelsat.capability.cards import Card
from modelsat.errors import ArtifactError, ModelSatError
from modelsat.outcomes.joining import check_answered, check_sources, join_outcomes
from modelsat.outcomes.splits import check_split, is_validation, unit_hash
from train_jobs.config import DataSetConfig
from train_jobs.stored_outcomes import StoredOutcomes, write_outcomes

QUESTIONS_PER_FILE = 4096
_INDEX = "files.json"
_SIDES = ("training", "validation")
# A row is either a question (`candidate` and `correct` are null) or an outcome (`prompt` to
# `dup_group` are null).
_ROW = pa.schema(
    [
        ("bucket", pa.int64()),
        ("question_id", pa.string()),
        ("prompt", pa.string()),
        ("task", pa.string()),
        ("category", pa.string()),
        ("dup_group", pa.string()),
        ("candidate", pa.string()),
        ("correct", pa.float32()),
    ]
)
_QUESTION_COLUMNS = ("question_id", "prompt", "task", "category", "dup_group")
_OUTCOME_COLUMNS = ("question_id", "candidate", "source", "correct")
_LIGHT: dict[str, Any] = {"num_cpus": 0.25}  # for stages that are I/O bound
_STAGE: dict[str, Any] = {**_LIGHT, "batch_format": "pyarrow"}


@dataclass(frozen=True)
class Split:
    """How buckets are filtered and split.

    Attributes:
        cards: cards of the candidates to keep, in order.
        excluded: ids of excluded questions.
        validation_fraction: share of the instructions reserved for validation.
        seed: seeds the split and the order.
    """

    cards: tuple[Card, ...]
    excluded: frozenset[str]
    validation_fraction: float
    seed: int


@dataclass(frozen=True)
class OutcomeFiles:
    """Training and validation outcomes in files.

    Attributes:
        training: training outcomes.
        validation: validation outcomes.
        num_unknown: number of outcomes excluded because no question has their id.
    """

    training: StoredOutcomes
    validation: StoredOutcomes
    num_unknown: int


def write_outcome_files(data: DataSetConfig, split: Split, folder: Path) -> None:
    """Write the files of a dataset; does nothing if they are complete.

    Args:
        data: paths of its tables.
        split: how to filter and split them.
        folder: output folder, shared by all machines of the cluster.

    Raises:
        ArtifactError: a table is missing or malformed, a question is duplicated, a candidate has
            two outcomes for a question, or a side of the split would be empty.
        ZooError: a card's candidate has no outcomes.
    """
    if (folder / _INDEX).is_file():
        return
    try:
        with atomic_directory(folder) as temporary:
            _write_index(_write_buckets(data, split, temporary), split, temporary)
    except RayTaskError as error:
        if isinstance(error.cause, ModelSatError):
            raise error.cause from None
        raise


def _write_buckets(data: DataSetConfig, split: Split, folder: Path) -> list[dict[str, Any]]:
    """Write every bucket; return the counts of each."""
    for path in data.questions:
        check_table(QUESTIONS, path)
    check_table(OUTCOMES, data.outcomes)
    if data.sources is not None:
        check_sources(_sources(data.outcomes), data.sources, origin=str(data.outcomes))
    num_questions = sum(pq.read_metadata(path).num_rows for path in data.questions)
    bucketing = {"num_buckets": max(1, -(-num_questions // QUESTIONS_PER_FILE)), "seed": split.seed}
    names = [card.candidate for card in split.cards]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    questions = _read(data.questions, QUESTIONS, _QUESTION_COLUMNS).map_batches(
        _question_rows, fn_kwargs=bucketing, **_STAGE
    )
    outcomes = _read([data.outcomes], OUTCOMES, _OUTCOME_COLUMNS).map_batches(
        _outcome_rows,
        fn_kwargs={**bucketing, "candidates": names, "sources": data.sources},
        **_STAGE,
    )
    return (
        questions.union(outcomes)
        .groupby("bucket", num_partitions=bucketing["num_buckets"])
        .map_groups(_write_bucket, fn_args=(split, folder), **_STAGE)
        .take_all()
    )


def open_outcome_files(folder: Path, cards: tuple[Card, ...]) -> OutcomeFiles:
    """Open the files of a dataset that :func:`write_outcome_files` wrote.

    Raises:
        ArtifactError: the files are incomplete.
    """
    index = read_json(folder / _INDEX)
    sides = {
        side: StoredOutcomes(
            tuple((folder / side / name, num_rows) for name, num_rows in index[side]), cards
        )
        for side in _SIDES
    }
    return OutcomeFiles(sides["training"], sides["validation"], index["num_unknown"])


def _read(paths: Sequence[Path], schema: TableSchema, names: Sequence[str]) -> ray.data.Dataset:
    """Read some columns of tables; absent nullable columns are filled with nulls."""
    return ray.data.read_parquet(
        [str(path) for path in paths],
        schema=pa.schema([field for field in schema.fields if field.name in names]),
        partitioning=None,  # a folder named a=b is not a partition
        **_LIGHT,
    ).select_columns(list(names))


def _sources(path: Path) -> set[str | None]:
    """Return the distinct values of an outcomes table's column `source`."""
    found: set[str | None] = set()
    if "source" not in pq.read_schema(path).names:
        return {None}
    for batch in pa.dataset.dataset(path).to_batches(columns=["source"]):
        found.update(pc.unique(batch["source"]).to_pylist())
    return found


def _buckets(question_ids: pa.ChunkedArray, num_buckets: int, seed: int) -> pa.ChunkedArray:
    """Assign each question to a bucket by a hash of its id."""
    ids = pc.unique(question_ids)
    buckets = [int(unit_hash(f"{seed}/{name}") * num_buckets) for name in ids.to_pylist()]
    return pa.array(buckets, pa.int64()).take(pc.index_in(question_ids, value_set=ids))


def _question_rows(questions: pa.Table, num_buckets: int, seed: int) -> pa.Table:
    rows = questions.append_column("bucket", _buckets(questions["question_id"], num_buckets, seed))
    return _conformed(rows)


def _outcome_rows(
    outcomes: pa.Table,
    num_buckets: int,
    seed: int,
    candidates: Sequence[str],
    sources: Sequence[str] | None,
) -> pa.Table:
    is_used = pc.is_in(outcomes["candidate"], pa.array(candidates, pa.string()))
    if sources is not None:
        is_used = pc.and_(is_used, pc.is_in(outcomes["source"], pa.array(sources, pa.string())))
    used = outcomes.filter(is_used).drop_columns("source")
    return _conformed(
        used.append_column("bucket", _buckets(used["question_id"], num_buckets, seed))
    )


def _conformed(rows: pa.Table) -> pa.Table:
    """Add the missing columns of `_ROW` as nulls."""
    return pa.table(
        [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in _ROW
        ],
        schema=_ROW,
    )


def _write_bucket(rows: pa.Table, split: Split, folder: Path) -> pa.Table:
    """Join the questions and outcomes of a bucket and write them; return its counts."""
    is_outcome = pc.is_valid(rows["candidate"])
    outcomes = rows.filter(is_outcome)
    # The order of arriving rows is not deterministic.
    questions = rows.filter(pc.invert(is_outcome)).sort_by("question_id")
    _check_distinct(questions["question_id"].to_pylist())
    matrix = join_outcomes(questions, outcomes, split.cards, exclude_questions=split.excluded)
    is_validation_Q = is_validation(matrix.groups, split.validation_fraction, split.seed)
    is_known = pc.is_in(outcomes["question_id"], value_set=pc.unique(questions["question_id"]))
    name = f"{rows['bucket'][0].as_py():06d}.parquet"
    counts: dict[str, Any] = {
        "name": name,
        "num_unknown": outcomes.num_rows - (pc.sum(is_known).as_py() or 0),
        "num_outcomes": (~np.isnan(matrix.correct_QM)).sum(axis=0).tolist(),
    }
    for side, mask_Q in zip(_SIDES, (~is_validation_Q, is_validation_Q), strict=True):
        counts[side] = int(mask_Q.sum())
        if mask_Q.any():
            write_outcomes(matrix.rows(np.flatnonzero(mask_Q).tolist()), folder / side / name)
    return pa.Table.from_pylist([counts])


def _check_distinct(question_ids: Sequence[str]) -> None:
    """Reject duplicate ids, within a table or between tables.

    Args:
        question_ids: sorted ids.
    """
    for previous, question_id in itertools.pairwise(question_ids):
        if previous == question_id:
            raise ArtifactError(
                f"question {question_id!r} occurs twice in the questions tables; ids must be unique"
            )


def _write_index(written: Sequence[Mapping[str, Any]], split: Split, folder: Path) -> None:
    """Check the totals and write the index, which marks the files as complete."""
    num_outcomes = np.array([bucket["num_outcomes"] for bucket in written], dtype=np.int64)
    check_answered(num_outcomes.sum(axis=0), split.cards)
    in_order = sorted(written, key=lambda bucket: bucket["name"])
    index = {
        side: [(bucket["name"], bucket[side]) for bucket in in_order if bucket[side]]
        for side in _SIDES
    }
    num_training, num_validation = (sum(num for _, num in index[side]) for side in _SIDES)
    check_split(num_training, num_validation, split.validation_fraction)
    num_unknown = sum(bucket["num_unknown"] for bucket in written)
    write_json(folder / _INDEX, {**index, "num_unknown": num_unknown})
