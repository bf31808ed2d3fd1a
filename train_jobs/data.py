"""Data of a training job: the driver converts tables to files, and every worker reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import check_table
from modelsat.capability.cards import Card, check_same_tasks, read_cards, select_cards
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.outcomes.splits import is_validation
from train_jobs.config import DataSetConfig, TrainJobConfig
from train_jobs.outcome_files import Split, open_outcome_files, write_outcome_files
from train_jobs.stored_outcomes import StoredOutcomes

DataHashes = dict[str, str | list[str]]


@dataclass(frozen=True)
class TrainingData:
    """Training and validation outcomes of every dataset, and the aptitude tests of their cards.

    Attributes:
        training: read from files piece by piece.
        validation: in memory, up to the configured number of instructions.
        task_sets: the distinct aptitude tests.
        num_unknown: number of outcomes excluded because no question has their id.
    """

    training: tuple[StoredOutcomes, ...]
    validation: tuple[OutcomeMatrix, ...]
    task_sets: tuple[TaskSet, ...]
    num_unknown: int


@dataclass(frozen=True)
class DataSize:
    """Size of a dataset, for planning.

    Attributes:
        cards: cards of its candidates.
        num_training: number of training instructions.
    """

    cards: tuple[Card, ...]
    num_training: int


def write_training_data(config: TrainJobConfig, hashes: Sequence[DataHashes]) -> list[Path]:
    """Join, check and split the tables into files in the job's shared folder, with Ray Data.

    Questions of any aptitude test are excluded from every dataset, since datasets may share
    questions. Files of the same tables and split are reused across runs.

    Args:
        config: the job.
        hashes: see :func:`data_hashes`.

    Returns:
        Folder of every dataset.

    Raises:
        ArtifactError: a table is missing, corrupt or does not match the others.
        ZooError: a candidate has no card or no outcome.
    """
    splits = _splits(config)
    folders = [
        _folder(config, data, split, file_hashes)
        for data, split, file_hashes in zip(config.data, splits, hashes, strict=True)
    ]
    for data, split, folder in zip(config.data, splits, folders, strict=True):
        write_outcome_files(data, split, folder)
    return folders


def read_training_data(config: TrainJobConfig, folders: Sequence[Path]) -> TrainingData:
    """Open the files that :func:`write_training_data` wrote.

    Args:
        config: the job.
        folders: folders of its datasets.

    Raises:
        ArtifactError: files are missing or corrupt.
    """
    training = config.training
    files = [
        open_outcome_files(folder, split.cards)
        for folder, split in zip(folders, _splits(config), strict=True)
    ]
    return TrainingData(
        training=tuple(dataset.training for dataset in files),
        validation=tuple(
            dataset.validation.sample(training.validation_instructions, training.seed)
            for dataset in files
        ),
        task_sets=tuple({tasks.tasks_hash: tasks for tasks in _task_sets(config)}.values()),
        num_unknown=sum(dataset.num_unknown for dataset in files),
    )


def measure_training_data(config: TrainJobConfig) -> tuple[DataSize, ...]:
    """Count the training instructions of every dataset; reads only ids and writes nothing.

    Raises:
        ArtifactError: a table or a column is missing.
        ZooError: a candidate has no card.
    """
    return tuple(
        _measure(data, split) for data, split in zip(config.data, _splits(config), strict=True)
    )


def data_hashes(config: Sequence[DataSetConfig]) -> list[DataHashes]:
    """Hash the content of every file that the router is trained on, independent of its path.

    Raises:
        ArtifactError: a file cannot be read.
    """
    return [
        {
            "questions": [file_hash(path) for path in data.questions],
            "outcomes": file_hash(data.outcomes),
            "cards": file_hash(data.cards),
            "tasks": file_hash(data.tasks),
        }
        for data in config
    ]


def _task_sets(config: TrainJobConfig) -> list[TaskSet]:
    return [load_tasks(data.tasks) for data in config.data]


def _splits(config: TrainJobConfig) -> list[Split]:
    task_sets = _task_sets(config)
    excluded = frozenset(question for tasks in task_sets for question in tasks.question_ids)
    return [
        Split(
            cards=_cards(data, tasks.tasks_hash),
            excluded=excluded,
            validation_fraction=config.training.validation_fraction,
            seed=config.training.seed,
        )
        for data, tasks in zip(config.data, task_sets, strict=True)
    ]


def _folder(config: TrainJobConfig, data: DataSetConfig, split: Split, hashes: DataHashes) -> Path:
    inputs = {
        **hashes,
        "sources": data.sources,
        "candidates": data.candidates,
        "excluded": sorted(split.excluded),
        "validation_fraction": split.validation_fraction,
        "seed": split.seed,
    }
    return config.shared_folder / f"outcomes-{content_hash(inputs)}"


def _cards(data: DataSetConfig, tasks_hash: str) -> tuple[Card, ...]:
    cards = tuple(select_cards(read_cards(data.cards, [tasks_hash]), data.candidates))
    check_same_tasks(cards, source=str(data.cards))
    return cards


def _measure(data: DataSetConfig, split: Split) -> DataSize:
    for path in data.questions:
        check_table(QUESTIONS, path)
    check_table(OUTCOMES, data.outcomes)
    row_filter = pc.field("candidate").isin([card.candidate for card in split.cards])
    row_filter &= pc.field("correct").is_valid()
    if data.sources is not None:
        row_filter &= pc.field("source").isin(list(data.sources))
    outcomes = _columns(data.outcomes, OUTCOMES.arrow, ["question_id"], row_filter)
    answered = set(pc.unique(outcomes["question_id"]).to_pylist()) - split.excluded
    groups: list[str] = []
    for path in data.questions:
        questions = _columns(path, QUESTIONS.arrow, ["question_id", "dup_group"])
        pairs = zip(*(column.to_pylist() for column in questions.columns), strict=True)
        groups += [group or question for question, group in pairs if question in answered]
    is_validation_Q = is_validation(groups, split.validation_fraction, split.seed)
    return DataSize(split.cards, int((~is_validation_Q).sum()))


def _columns(
    path: Path, schema: pa.Schema, names: list[str], row_filter: pc.Expression | None = None
) -> pa.Table:
    return pyarrow.dataset.dataset(path, schema=schema).to_table(columns=names, filter=row_filter)
