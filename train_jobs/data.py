"""The tables of a training job, read on every worker."""

from dataclasses import dataclass

import pyarrow as pa

from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.hashing import file_hash
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.capability.cards import read_cards, select_cards
from modelsat.training.data import OutcomeMatrix, build_matrix, split_validation
from train_jobs.config import DataConfig, TrainJobConfig


@dataclass(frozen=True)
class TrainingData:
    """Training and validation instructions, and the task set whose cards are read."""

    training: OutcomeMatrix
    validation: OutcomeMatrix
    tasks_hash: str


def read_training_data(config: TrainJobConfig) -> TrainingData:
    """Read, check and split the tables.

    Raises:
        ArtifactError: a table is missing, corrupt or does not fit the others.
        ZooError: a candidate has no card or no outcome.
    """
    tasks = load_tasks(config.data.tasks)
    cards = read_cards(config.data.cards, tasks.tasks_hash)
    questions = pa.concat_tables([read_table(QUESTIONS, path) for path in config.data.questions])
    matrix = build_matrix(
        questions,
        read_table(OUTCOMES, config.data.outcomes),
        select_cards(cards, config.data.candidates),
        exclude_questions=tasks.question_ids,
    )
    training, validation = split_validation(
        matrix, config.training.validation_fraction, config.training.seed
    )
    return TrainingData(training, validation, tasks.tasks_hash)


def data_hashes(config: DataConfig) -> dict[str, str | list[str]]:
    """Content hash of every file the router learns from, wherever it lies.

    Raises:
        ArtifactError: a file cannot be read.
    """
    return {
        "questions": [file_hash(path) for path in config.questions],
        "outcomes": file_hash(config.outcomes),
        "cards": file_hash(config.cards),
        "tasks": file_hash(config.tasks),
    }
