"""Core tasks: the fixed set of tasks and questions that every candidate answers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

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
        benchmark: benchmark of its questions; None: that of the task set.
    """

    task: str = Field(min_length=1)
    keywords: tuple[str, ...] = Field(min_length=NUM_KEYWORDS, max_length=NUM_KEYWORDS)
    question_ids: tuple[str, ...] = Field(min_length=1)
    benchmark: str | None = None

    @property
    def description(self) -> str:
        """The keywords as one text."""
        return ", ".join(self.keywords)


class TaskSet(FrozenConfig):
    """The core tasks of one aptitude test; cards of two task sets are not comparable.

    Attributes:
        schema_version: raised whenever a reader of the older version would misread the file.
        benchmark: benchmark of the questions; the names of several are joined with "+".
        tasks: the core tasks; those of a combined set name their benchmark.
    """

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
        return content_hash(self.document())

    def benchmark_of(self, task: CoreTask) -> str:
        """Return the benchmark of a task's questions."""
        return task.benchmark or self.benchmark

    def document(self) -> dict[str, Any]:
        """Return the content of its JSON file."""
        return self.model_dump(mode="json", exclude_none=True)

    def save(self, path: str | Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, self.document())


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


def combine_task_sets(sets: Sequence[tuple[str, TaskSet]]) -> TaskSet:
    """Return one task set with the tasks of several, in order.

    Args:
        sets: name of each task set, for messages, and the task set.

    Raises:
        ArtifactError: two sets share a task or a question; the message names both sets.
    """
    owners: dict[tuple[str, str], tuple[int, str]] = {}
    for place, (name, task_set) in enumerate(sets):
        parts = [("task", task.task) for task in task_set.tasks]
        parts += [("question", question_id) for question_id in task_set.question_ids]
        for kind, part in parts:
            first, owner = owners.setdefault((kind, part), (place, name))
            if first != place:
                raise ArtifactError(
                    f"{kind} {part!r} is in {owner} and in {name}; combine sets that share none"
                )
    tasks = tuple(
        task.model_copy(update={"benchmark": task_set.benchmark_of(task)})
        for _, task_set in sets
        for task in task_set.tasks
    )
    benchmarks = sorted({str(task.benchmark) for task in tasks})
    if len(benchmarks) == 1:
        tasks = tuple(task.model_copy(update={"benchmark": None}) for task in tasks)
    return TaskSet(benchmark="+".join(benchmarks), tasks=tasks)
