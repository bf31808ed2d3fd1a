"""Select core tasks and their questions by how well they discriminate between candidates.

Core tasks are those whose accuracies differ most between the candidates of the training zoo.
Within a task the questions are sorted by difficulty and split into as many equal bins as there
are shots; each bin contributes its most discriminating question, with ties broken by a seeded
draw. The paper prefers questions that half of the zoo answers correctly and drops questions that
nearly all candidates answer correctly or wrongly. We drop the latter too, but select by
discrimination over the whole remaining range: questions of medium difficulty separate average
candidates and say little about weak and strong candidates (measured: docs/experiments.md).

Outcomes must come only from the training zoo on training questions.

Shapes: Q questions, M candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from modelsat.aptitude.answers import TaskColumn, ZooAnswers, collect_answers, draw
from modelsat.aptitude.keywords import Keywords, parse_keywords
from modelsat.aptitude.separation import (
    Floats,
    Separation,
    item_rest_correlation,
    reliability,
    separation,
)
from modelsat.aptitude.tasks import NUM_CORE_TASKS, SHOTS_PER_TASK, CoreTask, TaskSet
from modelsat.errors import ConfigError

# A question is usable if the share of the zoo that answers it correctly lies between these.
# Limits of 0.05 and 0 give equally good cards (docs/experiments.md); the paper gives no limits.
_USABLE_SHARE = (0.1, 0.9)
_UNDESCRIBED = "no keywords"


@dataclass(frozen=True)
class CoreTaskReport:
    """Statistics of a core task and its shots.

    Attributes:
        task: its name.
        num_questions: its questions with text in the table.
        num_answered: questions that every candidate answered, duplicates counted once.
        num_usable: answered questions that neither nearly all nor nearly no candidates got right.
        separation: how it separates candidates, over ``num_answered`` questions.
        shots_accuracy_fraction: mean correctness over shots and candidates.
        shots_discrimination: mean correlation of a shot with the rest of the task.
        shots_reliability: reliability of the shots' score, optimistic because the shots were
            selected on the same outcomes.
        num_misordering: shots that weaker candidates answer better than stronger candidates.
    """

    task: str
    num_questions: int
    num_answered: int
    num_usable: int
    separation: Separation
    shots_accuracy_fraction: float
    shots_discrimination: float
    shots_reliability: float | None
    num_misordering: int


@dataclass(frozen=True)
class DroppedTask:
    """A task that was not selected, and the reason."""

    task: str
    num_questions: int
    num_usable: int
    reason: str


@dataclass(frozen=True)
class Selection:
    """A task set and the report of its selection.

    Attributes:
        task_set: core tasks sorted by name.
        seed: seed of all draws.
        task_column: column of the questions that names the tasks.
        num_answers: number of questions that each candidate answered, by name.
        excluded: number of excluded questions and outcomes, by reason.
        tasks: one report per core task, largest spread first.
        dropped: the other tasks.
    """

    task_set: TaskSet
    seed: int
    task_column: TaskColumn
    num_answers: dict[str, int]
    excluded: dict[str, int]
    tasks: tuple[CoreTaskReport, ...]
    dropped: tuple[DroppedTask, ...]

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON-serialisable mapping with only the task set's hash."""
        facts = {"benchmark": self.task_set.benchmark, "tasks_hash": self.task_set.tasks_hash}
        values = {name: value for name, value in vars(self).items() if name != "task_set"}
        for name in ("tasks", "dropped"):
            values[name] = [asdict(item) for item in values[name]]
        return facts | values


@dataclass(frozen=True)
class _Task:
    name: str
    rows: tuple[int, ...]  # of the answers, all of this task
    usable: tuple[int, ...]  # positions in rows
    discrimination_Q: Floats
    separation: Separation


def select_task_set(
    questions: pa.Table,
    outcomes: pa.Table,
    keywords: Mapping[str, Sequence[str]],
    *,
    benchmark: str,
    num_tasks: int = NUM_CORE_TASKS,
    shots: int = SHOTS_PER_TASK,
    seed: int = 0,
    task_column: TaskColumn = "task",
    candidates: Sequence[str] | None = None,
) -> Selection:
    """Select the core tasks of a benchmark and the questions of each task.

    The result does not depend on the order of rows or on candidates' names.

    Args:
        questions: questions table; only those of ``benchmark`` are used.
        outcomes: outcomes of the training zoo, one for each candidate and question.
        keywords: five describing keywords by task; tasks without keywords are not eligible.
        benchmark: benchmark to select from.
        num_tasks: number of core tasks.
        shots: questions of each, at least 2.
        seed: seeds ties and the choice among duplicates.
        task_column: ``category`` makes each category a core task.
        candidates: candidates that must have answered every question; None selects all that
            have outcomes.

    Raises:
        ConfigError: a number is too small, keywords are malformed, or there are fewer eligible
            tasks than requested; the message says how many and why the others are not.
        ArtifactError: see :func:`collect_answers`.
        ZooError: see :func:`collect_answers`.
    """
    if num_tasks < 1 or shots < 2:
        raise ConfigError(
            f"{num_tasks} core tasks of {shots} shots are too few; use at least 1 task and 2 shots"
        )
    described = parse_keywords(keywords, source="keywords")
    answers = collect_answers(
        questions,
        outcomes,
        benchmark=benchmark,
        seed=seed,
        task_column=task_column,
        candidates=candidates,
    )
    found, dropped = _examine(answers, described, shots)
    if len(found) < num_tasks:
        raise ConfigError(_too_few(num_tasks, len(found), dropped, benchmark, task_column))
    found.sort(key=lambda task: (-task.separation.spread_fraction, task.name))
    for task in found[num_tasks:]:
        reason = f"spread {task.separation.spread_fraction:.3f} below that of {num_tasks} others"
        dropped.append(_drop(answers, task.name, len(task.usable), reason))
    chosen = {task.name: _choose_shots(answers, task, shots, seed) for task in found[:num_tasks]}
    core_tasks = tuple(
        CoreTask(
            task=name,
            keywords=described[name],
            question_ids=tuple(answers.question_ids[i] for i in chosen[name]),
        )
        for name in sorted(chosen)
    )
    return Selection(
        task_set=TaskSet(benchmark=benchmark, tasks=core_tasks),
        seed=seed,
        task_column=task_column,
        num_answers=answers.num_answers,
        excluded=answers.excluded,
        tasks=tuple(_report(answers, task, chosen[task.name]) for task in found[:num_tasks]),
        dropped=tuple(sorted(dropped, key=lambda task: task.task)),
    )


def _examine(
    answers: ZooAnswers, described: Keywords, shots: int
) -> tuple[list[_Task], list[DroppedTask]]:
    lowest, highest = _USABLE_SHARE
    total_M = answers.correct_QM.sum(axis=0)
    rows_of: dict[str, list[int]] = {name: [] for name in sorted(answers.num_questions)}
    for i, name in enumerate(answers.tasks):
        rows_of[name].append(i)
    found, dropped = [], []
    for name, rows in rows_of.items():
        correct_QM = answers.correct_QM[rows]
        share_Q = correct_QM.mean(axis=1)
        usable = np.flatnonzero((share_Q >= lowest) & (share_Q <= highest))
        if name not in described:
            dropped.append(_drop(answers, name, len(usable), _UNDESCRIBED))
            continue
        if len(usable) < shots:
            reason = (
                f"{len(usable)} usable questions, fewer than {shots} "
                f"({len(rows)} answered by all candidates, {len(rows) - len(usable)} of them "
                "correctly or wrongly by nearly all)"
            )
            dropped.append(_drop(answers, name, len(usable), reason))
            continue
        other_tasks_M = total_M - correct_QM.sum(axis=0)
        found.append(
            _Task(
                name=name,
                rows=tuple(rows),
                usable=tuple(usable.tolist()),
                discrimination_Q=item_rest_correlation(correct_QM),
                separation=separation(correct_QM, other_tasks_M, answers.candidates, shots),
            )
        )
    return found, dropped


def _choose_shots(answers: ZooAnswers, task: _Task, shots: int, seed: int) -> list[int]:
    draws = {j: draw(seed, answers.question_ids[task.rows[j]]) for j in task.usable}
    share_Q = answers.correct_QM[list(task.rows)].mean(axis=1)
    by_difficulty = sorted(task.usable, key=lambda j: (share_Q[j], draws[j]))
    best = [
        min(difficulty_bin.tolist(), key=lambda j: (-task.discrimination_Q[j], draws[j]))
        for difficulty_bin in np.array_split(np.array(by_difficulty), shots)
    ]
    return [task.rows[j] for j in best]


def _report(answers: ZooAnswers, task: _Task, chosen: Sequence[int]) -> CoreTaskReport:
    shots_QM = answers.correct_QM[list(chosen)]
    discrimination = task.discrimination_Q[[task.rows.index(i) for i in chosen]]
    return CoreTaskReport(
        task=task.name,
        num_questions=answers.num_questions[task.name],
        num_answered=len(task.rows),
        num_usable=len(task.usable),
        separation=task.separation,
        shots_accuracy_fraction=float(shots_QM.mean()),
        shots_discrimination=float(discrimination.mean()),
        shots_reliability=reliability(shots_QM),
        num_misordering=int((discrimination < 0).sum()),
    )


def _drop(answers: ZooAnswers, name: str, num_usable: int, reason: str) -> DroppedTask:
    return DroppedTask(name, answers.num_questions[name], num_usable, reason)


def _too_few(
    requested: int, found: int, dropped: list[DroppedTask], benchmark: str, column: TaskColumn
) -> str:
    text = f"{benchmark} has {found} usable core tasks by {column}; {requested} were requested"
    if found:
        text += f": request {found} or fewer"
    undescribed = [task.task for task in dropped if task.reason == _UNDESCRIBED]
    if undescribed:
        text += f"; without keywords: {', '.join(undescribed)}"
    short = [f"{task.task} ({task.num_usable})" for task in dropped if task.reason != _UNDESCRIBED]
    if short:
        text += f"; with too few usable questions: {', '.join(short)}"
    return text
