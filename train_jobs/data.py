"""The tables of a training job, read on every worker."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.hashing import file_hash
from modelsat.capability.cards import read_cards, select_cards
from modelsat.training.data import OutcomeMatrix, load_matrix, split_validation
from train_jobs.config import DataSetConfig, TrainJobConfig


@dataclass(frozen=True)
class TrainingData:
    """Training and validation instructions of every data set, and the aptitude tests behind."""

    training: tuple[OutcomeMatrix, ...]
    validation: tuple[OutcomeMatrix, ...]
    task_sets: tuple[TaskSet, ...]


def read_training_data(config: TrainJobConfig) -> TrainingData:
    """Read, check and split the tables.

    No data set trains on a question of any aptitude test: two of them may hold the same ones.

    Raises:
        ArtifactError: a table is missing, corrupt or does not fit the others.
        ZooError: a candidate has no card or no outcome.
    """
    task_sets = [load_tasks(data.tasks) for data in config.data]
    aptitude = {question for tasks in task_sets for question in tasks.question_ids}
    splits = [
        split_validation(
            _read_matrix(data, tasks.tasks_hash, aptitude),
            config.training.validation_fraction,
            config.training.seed,
        )
        for data, tasks in zip(config.data, task_sets, strict=True)
    ]
    return TrainingData(
        training=tuple(training for training, _ in splits),
        validation=tuple(validation for _, validation in splits),
        task_sets=tuple({tasks.tasks_hash: tasks for tasks in task_sets}.values()),
    )


def data_hashes(config: Sequence[DataSetConfig]) -> list[dict[str, str | list[str]]]:
    """Content hash of every file the router learns from, wherever it lies.

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


def _read_matrix(data: DataSetConfig, tasks_hash: str, aptitude: set[str]) -> OutcomeMatrix:
    cards = read_cards(data.cards, [tasks_hash])
    return load_matrix(
        data.questions,
        data.outcomes,
        select_cards(cards, data.candidates),
        sources=data.sources,
        exclude_questions=aptitude,
    )
