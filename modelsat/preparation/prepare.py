"""Write what a training job reads: aptitude tests, cards, questions and outcomes."""

from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.own_requests import questions_not_for_all
from modelsat.aptitude.tasks import TaskSet
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_json, write_table
from modelsat.capability.cards import build_cards, write_cards
from modelsat.errors import ConfigError
from modelsat.outcomes.splits import unit_hash
from modelsat.preparation.aptitude_tests import select_test, whole_benchmark_test
from modelsat.preparation.prepared import PreparedDataSet, PreparedZoo, write_data_file
from modelsat.preparation.recipe import Recipe, SelectedTest, SharedTest, WholeBenchmarkTest
from modelsat.preparation.tables import Echo, ZooTables, read_zoos

IsTraining = Callable[[str], bool]  # whether the questions of a leak group may be trained on


def prepare(recipe: Recipe, data_dir: Path, out: Path, echo: Echo) -> tuple[PreparedZoo, ...]:
    """Prepare every zoo of a recipe that a folder holds; the data file is written last.

    Args:
        recipe: what to learn from.
        data_dir: folder with ``questions.parquet`` and ``outcomes.parquet``.
        out: folder to write: ``data.yaml``, and a folder for each zoo.
        echo: receives progress.

    Raises:
        ArtifactError: the tables are refused, see :func:`read_zoos`.
        ConfigError: too few usable core tasks, or a benchmark without keywords.
        GradingError: a candidate has not answered the whole aptitude test.
    """

    def is_training(group: str) -> bool:
        return unit_hash(f"test/{group}") >= recipe.test_fraction

    zoos = read_zoos(recipe, data_dir, echo)
    prepared: dict[str, PreparedZoo] = {}
    for tables in sorted(zoos, key=lambda one: one.shares_test):
        test = tables.recipe.aptitude_test
        prepared[tables.name] = prepare_zoo(
            tables,
            out / tables.name,
            is_training=is_training,
            shared_test=prepared[test.zoo].task_set() if isinstance(test, SharedTest) else None,
            seed=recipe.seed,
            echo=echo,
        )
    in_order = tuple(prepared[tables.name] for tables in zoos)
    write_data_file(in_order, out)
    return in_order


def prepare_zoo(
    tables: ZooTables,
    directory: Path,
    *,
    is_training: IsTraining = lambda group: True,
    held_out: Collection[str] = (),
    shared_test: TaskSet | None = None,
    seed: int = 0,
    echo: Echo,
) -> PreparedZoo:
    """Make the aptitude test, build the cards, and write everything that one zoo needs.

    The questions of a selected test come from the training questions; the outcomes of held-out
    candidates do not influence the choice. All candidates take the test.

    Args:
        tables: the zoo's rows.
        directory: folder to write.
        is_training: whether the questions of a leak group may be trained on; the others are kept
            for evaluation.
        held_out: candidates that the router is not trained on.
        shared_test: aptitude test of the zoo that this zoo shares it with.
        seed: seed of the choice of questions.
        echo: receives progress.

    Raises:
        ArtifactError: an outcome is malformed, or a whole benchmark has too few questions.
        ConfigError: too few usable core tasks, a benchmark without keywords, or no question is
            left to train on.
        GradingError: a candidate has not answered the whole aptitude test.
    """
    trained_on = tuple(name for name in tables.candidates if name not in held_out)
    test = tables.recipe.aptitude_test
    if isinstance(test, SelectedTest):
        training = _of_groups(tables.benchmark_questions(test.benchmark), is_training)
        selection = select_test(tables, test, training, candidates=trained_on, seed=seed)
        write_json(directory / "selection.json", selection.document())
        task_set = selection.task_set
    elif isinstance(test, WholeBenchmarkTest):
        task_set = whole_benchmark_test(tables, test)
        _report_left_out(tables, task_set, echo)
    elif shared_test is not None:
        task_set = shared_test
    else:
        raise ConfigError(f"zoo {tables.name!r} needs the test of zoo {test.zoo!r}")
    data_sets = tuple(
        PreparedDataSet(benchmark, directory / benchmark)
        for benchmark in tables.recipe.training_benchmarks
        if tables.answered_questions(benchmark).num_rows
    )
    prepared = PreparedZoo(tables.name, directory, trained_on, data_sets)
    task_set.save(prepared.tasks)
    not_for_all = questions_not_for_all(tables.questions.to_pylist())
    cards = build_cards(tables.outcomes, task_set, not_for_all=not_for_all)
    write_cards(cards, prepared.cards)
    echo(f"{tables.name}: {len(task_set.tasks)} core tasks in {prepared.tasks}")
    for data_set in data_sets:
        _write_data_set(tables, data_set, is_training, task_set, echo)
    return prepared


def _write_data_set(
    tables: ZooTables,
    data_set: PreparedDataSet,
    is_training: IsTraining,
    task_set: TaskSet,
    echo: Echo,
) -> None:
    questions = tables.benchmark_questions(data_set.benchmark)
    training = _of_groups(questions, is_training)
    test = _of_groups(questions, lambda group: not is_training(group))
    write_table(QUESTIONS, training, data_set.training_questions)
    write_table(QUESTIONS, test, data_set.test_questions)
    write_table(OUTCOMES, tables.outcomes_on(questions), data_set.outcomes)
    answered = tables.answered_questions(data_set.benchmark)
    tested = pa.array(task_set.question_ids, pa.string())
    left = answered.filter(pc.invert(pc.is_in(answered["question_id"], tested)))
    if not left.num_rows:
        raise ConfigError(
            f"zoo {tables.name!r}: all {answered.num_rows} answered questions of "
            f"{data_set.benchmark} are in the aptitude test, which is not trained on; choose "
            "another kind of test, or another benchmark to train on"
        )
    num_training = _of_groups(left, is_training).num_rows
    echo(
        f"{tables.name}/{data_set.benchmark}: {num_training} answered questions to train on, "
        f"{left.num_rows - num_training} to evaluate on; {answered.num_rows - left.num_rows} are "
        "in the aptitude test"
    )


def _report_left_out(tables: ZooTables, task_set: TaskSet, echo: Echo) -> None:
    answered = tables.answered_questions(task_set.benchmark)["task"].unique().to_pylist()
    without = sorted(set(answered) - {task.task for task in task_set.tasks})
    if without:
        echo(
            f"{tables.name}: left out of the aptitude test, with too few questions or without "
            f"keywords: {', '.join(without)}"
        )


def _of_groups(questions: pa.Table, is_wanted: IsTraining) -> pa.Table:
    groups = questions["dup_group"].to_pylist()
    return questions.filter(pa.array([is_wanted(group) for group in groups], pa.bool_()))
