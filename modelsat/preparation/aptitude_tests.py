"""Make the aptitude test that a recipe asks for, from the rows of a zoo."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.selection import Selection, select_task_set
from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.errors import ArtifactError
from modelsat.preparation.recipe import SelectedTest, WholeBenchmarkTest
from modelsat.preparation.tables import ZooTables


def select_test(
    tables: ZooTables,
    test: SelectedTest,
    training: pa.Table,
    *,
    candidates: Sequence[str],
    seed: int,
) -> Selection:
    """Select the tasks and questions that best tell candidates apart.

    Only questions that every candidate of the zoo answered, and every zoo that shares the test,
    can be selected: all of these candidates take it.

    Args:
        tables: the zoo's rows.
        test: size and benchmark of the test.
        training: questions to select from.
        candidates: candidates to tell apart; the others' outcomes do not influence the choice.
        seed: seed of the choice between equal questions.

    Raises:
        ConfigError: too few usable core tasks, or a benchmark without keywords.
        ArtifactError: an outcome is malformed.
    """
    return select_task_set(
        training,
        _complete_outcomes(tables, training),
        test.task_keywords(),
        benchmark=test.benchmark,
        num_tasks=test.num_tasks,
        shots=test.shots,
        seed=seed,
        candidates=candidates,
    )


def whole_benchmark_test(tables: ZooTables, test: WholeBenchmarkTest) -> TaskSet:
    """Return all questions of a benchmark that the zoo answered, as an aptitude test.

    Raises:
        ArtifactError: no task has enough questions.
        ConfigError: the benchmark has no keywords.
    """
    rows = tables.answered_questions(test.benchmark)
    questions: dict[str, list[str]] = {}
    for task, question_id in zip(
        rows["task"].to_pylist(), rows["question_id"].to_pylist(), strict=True
    ):
        questions.setdefault(task, []).append(question_id)
    tasks = tuple(
        CoreTask(task=task, keywords=words, question_ids=tuple(sorted(questions[task])))
        for task, words in sorted(test.task_keywords().items())
        if len(questions.get(task, ())) >= test.min_shots
    )
    if not tasks:
        raise ArtifactError(
            f"no task of {test.benchmark} has {test.min_shots} questions among the {len(rows)} "
            "answered; an aptitude test needs at least one such task"
        )
    return TaskSet(benchmark=test.benchmark, tasks=tasks)


def _complete_outcomes(tables: ZooTables, questions: pa.Table) -> pa.Table:
    """Return the outcomes on the questions that every candidate and every sharing zoo answered."""
    own = tables.outcomes_on(questions)
    counts = own.group_by("question_id").aggregate([("correct", "count")])
    full = counts.filter(pc.equal(counts["correct_count"], len(tables.candidates)))["question_id"]
    for answered in tables.sharing:
        full = full.filter(pc.is_in(full, pa.array(sorted(answered), pa.string())))
    return own.filter(pc.is_in(own["question_id"], full.combine_chunks()))
