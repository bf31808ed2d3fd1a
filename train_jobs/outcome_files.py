"""Outcomes of any size become files to train on: joined, shuffled and split by Ray Data.

Questions and outcomes meet in buckets by a hash of the question. One bucket, some thousand
questions, is all that a process holds; which machine works on it changes nothing in the files.
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
from modelsat.outcomes.stored import StoredOutcomes, write_outcomes
from train_jobs.config import DataSetConfig

QUESTIONS_PER_FILE = 4096
_INDEX = "files.json"
_SIDES = ("training", "validation")
# A row is a question, then `candidate` and what follows are null, or an outcome, then what stands
# between is.
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
_LIGHT: dict[str, Any] = {"num_cpus": 0.25}  # of a stage that mostly reads and writes
_STAGE: dict[str, Any] = {**_LIGHT, "batch_format": "pyarrow"}


@dataclass(frozen=True)
class Split:
    """What is done with each bucket.

    Attributes:
        cards: candidates to keep, in order.
        excluded: questions to leave out.
        validation_fraction: share of the instructions kept apart.
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
        training: outcomes to train on.
        validation: outcomes kept apart.
        num_unknown: outcomes left out because no question has their id.
    """

    training: StoredOutcomes
    validation: StoredOutcomes
    num_unknown: int


def write_outcome_files(data: DataSetConfig, split: Split, folder: Path) -> None:
    """Write the files of one data set; does nothing where they are complete.

    Args:
        data: where its tables are.
        split: what is done with them.
        folder: where the files go; every machine of the cluster sees it.

    Raises:
        ArtifactError: a table is missing or malformed, a question occurs twice, a candidate has
            two outcomes for one, or a side of the split would be empty.
        ZooError: a card's candidate has no outcome at all.
    """
    if (folder / _INDEX).is_file():
        return
    try:
        with atomic_directory(folder) as unfinished:
            _write_index(_write_buckets(data, split, unfinished), split, unfinished)
    except RayTaskError as error:
        if isinstance(error.cause, ModelSatError):
            raise error.cause from None
        raise


def _write_buckets(data: DataSetConfig, split: Split, folder: Path) -> list[dict[str, Any]]:
    """Write every bucket; returns what was in each."""
    for path in data.questions:
        check_table(QUESTIONS, path)
    check_table(OUTCOMES, data.outcomes)
    if data.sources is not None:
        check_sources(_sources(data.outcomes), data.sources, origin=str(data.outcomes))
    num_questions = sum(pq.read_metadata(path).num_rows for path in data.questions)
    drawn = {"num_buckets": max(1, -(-num_questions // QUESTIONS_PER_FILE)), "seed": split.seed}
    names = [card.candidate for card in split.cards]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    questions = _read(data.questions, QUESTIONS, _QUESTION_COLUMNS).map_batches(
        _question_rows, fn_kwargs=drawn, **_STAGE
    )
    outcomes = _read([data.outcomes], OUTCOMES, _OUTCOME_COLUMNS).map_batches(
        _outcome_rows, fn_kwargs={**drawn, "candidates": names, "sources": data.sources}, **_STAGE
    )
    return (
        questions.union(outcomes)
        .groupby("bucket", num_partitions=drawn["num_buckets"])
        .map_groups(_write_bucket, fn_args=(split, folder), **_STAGE)
        .take_all()
    )


def open_outcome_files(folder: Path, cards: tuple[Card, ...]) -> OutcomeFiles:
    """The files of one data set that :func:`write_outcome_files` wrote.

    Raises:
        ArtifactError: they are not complete.
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
    """Some columns of tables; a nullable one that a file lacks is null."""
    return ray.data.read_parquet(
        [str(path) for path in paths],
        schema=pa.schema([field for field in schema.fields if field.name in names]),
        partitioning=None,  # a folder called a=b is no column
        **_LIGHT,
    ).select_columns(list(names))


def _sources(path: Path) -> set[str | None]:
    """All values of an outcomes table's column `source`."""
    found: set[str | None] = set()
    if "source" not in pq.read_schema(path).names:
        return {None}
    for batch in pa.dataset.dataset(path).to_batches(columns=["source"]):
        found.update(pc.unique(batch["source"]).to_pylist())
    return found


def _buckets(question_ids: pa.ChunkedArray, num_buckets: int, seed: int) -> pa.ChunkedArray:
    """Bucket of each question, drawn by its id."""
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
    wanted = pc.is_in(outcomes["candidate"], pa.array(candidates, pa.string()))
    if sources is not None:
        wanted = pc.and_(wanted, pc.is_in(outcomes["source"], pa.array(sources, pa.string())))
    kept = outcomes.filter(wanted).drop_columns("source")
    return _conformed(
        kept.append_column("bucket", _buckets(kept["question_id"], num_buckets, seed))
    )


def _conformed(rows: pa.Table) -> pa.Table:
    """All columns of `_ROW`, null where there is none."""
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
    """Join the questions and outcomes of a bucket and write them; tells how many there were."""
    is_outcome = pc.is_valid(rows["candidate"])
    outcomes = rows.filter(is_outcome)
    # The order in which rows arrive depends on who read what first.
    questions = rows.filter(pc.invert(is_outcome)).sort_by("question_id")
    _check_distinct(questions["question_id"].to_pylist())
    matrix = join_outcomes(questions, outcomes, split.cards, exclude_questions=split.excluded)
    held_Q = is_validation(matrix.groups, split.validation_fraction, split.seed)
    is_known = pc.is_in(outcomes["question_id"], value_set=pc.unique(questions["question_id"]))
    name = f"{rows['bucket'][0].as_py():06d}.parquet"
    counts: dict[str, Any] = {
        "name": name,
        "num_unknown": outcomes.num_rows - (pc.sum(is_known).as_py() or 0),
        "num_outcomes": (~np.isnan(matrix.correct_QM)).sum(axis=0).tolist(),
    }
    for side, chosen in zip(_SIDES, (~held_Q, held_Q), strict=True):
        counts[side] = int(chosen.sum())
        if chosen.any():
            write_outcomes(matrix.rows(np.flatnonzero(chosen).tolist()), folder / side / name)
    return pa.Table.from_pylist([counts])


def _check_distinct(question_ids: Sequence[str]) -> None:
    """Refuse an id that occurs twice, in one table or in two.

    Args:
        question_ids: in order.
    """
    for before, question_id in itertools.pairwise(question_ids):
        if before == question_id:
            raise ArtifactError(
                f"question {question_id!r} occurs twice in the questions tables; keep it once"
            )


def _write_index(written: Sequence[Mapping[str, Any]], split: Split, folder: Path) -> None:
    """Check the whole, and say that it is complete."""
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
