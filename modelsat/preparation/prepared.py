"""The files that `modelsat prepare` writes, and the data file that `modelsat train` reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.store import write_text
from modelsat.config import read_yaml_mapping
from modelsat.errors import ConfigError

DATA_FILE = "data.yaml"


@dataclass(frozen=True)
class PreparedDataSet:
    """Files of the questions of one benchmark that one zoo answered.

    Attributes:
        benchmark: the benchmark.
        directory: folder of the files.
    """

    benchmark: str
    directory: Path

    @property
    def training_questions(self) -> Path:
        """Questions to train on; they may include questions of an aptitude test."""
        return self.directory / "questions-training.parquet"

    @property
    def test_questions(self) -> Path:
        """Questions kept for evaluation; the table may be empty."""
        return self.directory / "questions-test.parquet"

    @property
    def outcomes(self) -> Path:
        """Outcomes of all candidates on all of these questions."""
        return self.directory / "outcomes.parquet"


@dataclass(frozen=True)
class PreparedZoo:
    """Files of one zoo.

    Attributes:
        name: name of the zoo.
        directory: folder of the files.
        trained_on: candidates that the router is trained on; the cards hold the others too.
        data_sets: one per training benchmark.
    """

    name: str
    directory: Path
    trained_on: tuple[str, ...]
    data_sets: tuple[PreparedDataSet, ...]

    @property
    def tasks(self) -> Path:
        """The aptitude test."""
        return self.directory / "tasks.json"

    @property
    def cards(self) -> Path:
        """Cards of all candidates."""
        return self.directory / "cards.parquet"

    def task_set(self) -> TaskSet:
        """Read the aptitude test."""
        return load_tasks(self.tasks)

    def job_data(self) -> list[dict[str, Any]]:
        """Return the data sets as entries of a training job's ``data``."""
        return [
            {
                "questions": [str(data_set.training_questions)],
                "outcomes": str(data_set.outcomes),
                "cards": str(self.cards),
                "tasks": str(self.tasks),
                "candidates": list(self.trained_on),
            }
            for data_set in self.data_sets
        ]


def write_data_file(zoos: Sequence[PreparedZoo], folder: Path) -> None:
    """Write the job data of prepared zoos to ``data.yaml``, with paths relative to the folder."""
    entries = [entry for zoo in zoos for entry in zoo.job_data()]
    for entry in entries:
        entry["questions"] = [str(Path(path).relative_to(folder)) for path in entry["questions"]]
        for name in ("outcomes", "cards", "tasks"):
            entry[name] = str(Path(entry[name]).relative_to(folder))
    write_text(folder / DATA_FILE, yaml.safe_dump({"data": entries}, sort_keys=False))


def read_data_file(folder: Path) -> list[dict[str, Any]]:
    """Read what :func:`write_data_file` wrote, with paths that start with the folder's.

    Raises:
        ConfigError: the folder has no such file, or the file has no list of data sets.
    """
    entries = read_yaml_mapping(folder / DATA_FILE).get("data")
    if not isinstance(entries, list):
        raise ConfigError(f"{folder / DATA_FILE} has no list `data`; run `modelsat prepare` again")
    return [
        entry
        | {"questions": [str(folder / path) for path in entry["questions"]]}
        | {name: str(folder / entry[name]) for name in ("outcomes", "cards", "tasks")}
        for entry in entries
    ]
