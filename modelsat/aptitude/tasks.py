"""Core tasks: the fixed set of tasks and questions that every candidate answers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import Field, field_validator

from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.store import read_json, write_json
from modelsat.config import FrozenConfig, parse_config
from modelsat.errors import ArtifactError, ConfigError

SHOTS_PER_TASK = 20  # questions of one core task (the paper's aptitude test)
NUM_CORE_TASKS = 50  # core tasks (the paper's aptitude test)
NUM_KEYWORDS = 5  # keywords that describe a core task (the paper's capability text)


class CoreTask(FrozenConfig):
    """A task of the aptitude test.

    Attributes:
        task: name, as in the questions table.
        keywords: five words that describe it to the router.
        question_ids: its questions (shots), the same for every candidate.
    """

    task: str = Field(min_length=1)
    keywords: tuple[str, ...] = Field(min_length=NUM_KEYWORDS, max_length=NUM_KEYWORDS)
    question_ids: tuple[str, ...] = Field(min_length=1)

    @property
    def description(self) -> str:
        """The keywords as one text."""
        return ", ".join(self.keywords)


class TaskSet(FrozenConfig):
    """The core tasks of one aptitude test; cards of two task sets are not comparable."""

    schema_version: Literal[1] = 1
    benchmark: str
    tasks: tuple[CoreTask, ...] = Field(min_length=1)

    @field_validator("tasks")
    @classmethod
    def _distinct(cls, tasks: tuple[CoreTask, ...]) -> tuple[CoreTask, ...]:
        names = [task.task for task in tasks]
        if len(set(names)) < len(names):
            raise ValueError("a task occurs twice; core tasks must be unique")
        question_ids = [q for task in tasks for q in task.question_ids]
        if len(set(question_ids)) < len(question_ids):
            raise ValueError("a question occurs twice; question ids must be unique")
        return tasks

    @property
    def question_ids(self) -> tuple[str, ...]:
        """Ids of all questions, grouped by task."""
        return tuple(q for task in self.tasks for q in task.question_ids)

    @property
    def tasks_hash(self) -> str:
        """Hash of tasks, keywords and question ids."""
        return content_hash(self.model_dump(mode="json"))

    def save(self, path: str | Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, self.model_dump(mode="json"))


def load_tasks(path: str | Path) -> TaskSet:
    """Read a task set.

    Raises:
        ArtifactError: the file is missing, corrupt, not a task set or has another version.
    """
    try:
        return parse_config(TaskSet, read_json(path), source=str(path))
    except ConfigError as error:
        raise ArtifactError(str(error)) from None


def build_task_set(
    questions: pa.Table, keywords: Mapping[str, Sequence[str]], shots: int = SHOTS_PER_TASK
) -> TaskSet:
    """Build a task set from the first ``shots`` questions of each task in ``keywords``.

    Args:
        questions: questions table of one benchmark with the aptitude questions.
        keywords: five describing keywords for each core task.
        shots: questions per task.

    Raises:
        ArtifactError: a task has too few questions or not five keywords, there is no task, or
            the table has several benchmarks.
    """
    benchmarks = sorted(set(questions["benchmark"].to_pylist()))
    if len(benchmarks) != 1:
        raise ArtifactError(
            f"a task set needs questions of exactly one benchmark, found {benchmarks}"
        )
    by_task: dict[str, list[str]] = defaultdict(list)
    for task, question_id in zip(
        questions["task"].to_pylist(), questions["question_id"].to_pylist(), strict=True
    ):
        by_task[task].append(question_id)
    short = {task: len(by_task[task]) for task in keywords if len(by_task[task]) < shots}
    if short:
        raise ArtifactError(f"every core task needs {shots} questions; too few for {short}")
    tasks = [
        {"task": task, "keywords": tuple(words), "question_ids": tuple(by_task[task][:shots])}
        for task, words in keywords.items()
    ]
    try:
        values = {"benchmark": benchmarks[0], "tasks": tuple(tasks)}
        return parse_config(TaskSet, values, source="core tasks")
    except ConfigError as error:
        raise ArtifactError(str(error)) from None
