"""Tables and a recipe become aptitude tests, cards and job data; small made-up tables."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.aptitude.keywords import load_keywords
from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import read_cards
from modelsat.cli.main import app
from modelsat.config import parse_config
from modelsat.errors import ArtifactError, ConfigError
from modelsat.outcomes.joining import load_matrix
from modelsat.preparation.prepare import prepare, prepare_zoo
from modelsat.preparation.prepared import read_data_file
from modelsat.preparation.recipe import Recipe, load_recipe
from modelsat.preparation.tables import read_zoos
from tests.support.folds import fold_of
from train_jobs.config import DataSetConfig

SKILL = {"weak": 0.35, "middle": 0.55, "strong": 0.75, "held": 0.6}
TASKS = sorted(load_keywords("mmlu"))[:6]
PER_TASK = 60
# Answered by the sharing zoo; the others it lacks.
SHARED = {f"{task}/{i}" for task in TASKS for i in range(PER_TASK) if i % 3}

MAIN = {
    "name": "main",
    "sources": ["lab"],
    "aptitude_test": {"kind": "selected", "benchmark": "mmlu", "num_tasks": 4, "shots": 5},
    "training_benchmarks": ["mmlu"],
    "min_coverage_fraction": 0.5,
}
SHARING = {
    "name": "sharing",
    "sources": ["others"],
    "aptitude_test": {"kind": "shared", "zoo": "main"},
    "training_benchmarks": ["gsm8k"],
}
WHOLE = {
    "name": "whole",
    "sources": ["crowd"],
    "aptitude_test": {"kind": "whole_benchmark", "benchmark": "mmlu", "min_shots": 5},
    "training_benchmarks": ["gsm8k", "bbh"],
}


def recipe(*zoos, **fields) -> Recipe:
    return parse_config(Recipe, {"zoos": zoos, **fields}, source="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """One main zoo with a lazy candidate, and two smaller zoos that also answered GSM8K."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    questions = [
        {"question_id": f"{task}/{i}", "benchmark": "mmlu", "task": task, "answer": "A"}
        | {"prompt": f"Question {i} of {task}?\nA. yes\nB. no", "dup_group": None}
        for task in TASKS
        for i in range(PER_TASK)
    ]
    questions[1]["prompt"] = "  "
    questions[2]["dup_group"] = questions[3]["dup_group"] = "twins"
    questions += [
        {"question_id": f"g/{i}", "benchmark": "gsm8k", "task": "gsm8k", "answer": "1"}
        | {"prompt": f"How many apples are {i} and one?"}
        for i in range(20)
    ]
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    mmlu = [row for row in questions if row["benchmark"] == "mmlu"]
    cells = []
    for name, skill in SKILL.items():
        level = {task: np.clip(skill + rng.normal(0, 0.15), 0.1, 0.9) for task in TASKS}
        cells += [
            (row["question_id"], name, "lab", float(rng.random() < level[row["task"]]))
            for row in mmlu
        ]
    cells += [(row["question_id"], "idle", "lab", 1.0) for row in mmlu[:100]]
    gsm8k = [f"g/{i}" for i in range(20)]
    cells += [
        (q, name, "others", 1.0) for name in ("one", "two") for q in [*sorted(SHARED), *gsm8k]
    ]
    few = [f"{task}/{i}" for t, task in enumerate(TASKS) for i in range(10, 14 if t == 0 else 18)]
    cells += [(q, "one", "crowd", 0.5) for q in [*few, *gsm8k[:5]]]
    cells += [("g/0", "stranger", "unused", 1.0)]
    write_outcomes(cells, folder)
    return folder


def write_outcomes(cells, folder: Path) -> None:
    rows = [
        {"question_id": q, "candidate": c, "source": source, "correct": value}
        for q, c, source, value in cells
    ]
    write_table(OUTCOMES, rows, folder / "outcomes.parquet")


def test_rows_that_are_left_out_are_reported(data):
    lines: list[str] = []
    absent = MAIN | {"name": "absent", "sources": ["elsewhere"]}
    (tables,) = read_zoos(recipe(MAIN, absent), data, lines.append)
    assert tables.candidates == ("held", "middle", "strong", "weak")
    assert tables.left_out == {"idle": 99}
    assert tables.num_blank == 1
    assert lines[0].endswith("left out: idle (99 answers), 1 questions without text")
    assert lines[1] == f"absent: not in {data}"
    assert "source 'unused': 1 outcomes are not used" in lines


def test_test_questions_and_held_out_candidates_are_not_trained_on(data, tmp_path):
    (tables,) = read_zoos(recipe(MAIN), data, print)
    prepared = prepare_zoo(
        tables,
        tmp_path,
        is_training=lambda group: fold_of(group, 5) != 0,
        held_out={"held"},
        echo=print,
    )
    (files,) = prepared.data_sets
    training = read_table(QUESTIONS, files.training_questions)
    test = read_table(QUESTIONS, files.test_questions)
    tasks = load_tasks(prepared.tasks)
    assert len(tasks.tasks) == 4
    assert set(tasks.question_ids) <= set(training["question_id"].to_pylist())
    assert not set(training["dup_group"].to_pylist()) & set(test["dup_group"].to_pylist())
    assert training.num_rows + test.num_rows == len(TASKS) * PER_TASK - 1
    cards = read_cards(prepared.cards)
    assert set(cards) == set(SKILL)
    outcomes = {
        (row["question_id"], row["candidate"]): row["correct"]
        for row in read_table(OUTCOMES, files.outcomes).to_pylist()
    }
    for name, card in cards.items():
        for statement, task in zip(card.statements, tasks.tasks, strict=True):
            counted = sum(outcomes[q, name] for q in task.question_ids)
            assert statement.num_correct == counted
    assert prepared.trained_on == ("middle", "strong", "weak")


def test_outcomes_of_held_out_candidates_do_not_influence_the_test(data, tmp_path):
    cells = [
        (row["question_id"], row["candidate"], row["source"], row["correct"])
        for row in read_table(OUTCOMES, data / "outcomes.parquet").to_pylist()
    ]
    other = tmp_path / "other"
    write_table(QUESTIONS, read_table(QUESTIONS, data / "questions.parquet"), other / "q.parquet")
    (other / "q.parquet").rename(other / "questions.parquet")
    write_outcomes([(q, c, s, 1 - v if c == "held" else v) for q, c, s, v in cells], other)
    chosen = []
    for folder, name in ((data, "one"), (other, "two")):
        (tables,) = read_zoos(recipe(MAIN), folder, print)
        prepared = prepare_zoo(tables, tmp_path / name, held_out={"held"}, echo=print)
        chosen.append(load_tasks(prepared.tasks))
    assert chosen[0] == chosen[1]


def test_a_shared_test_has_only_questions_that_both_zoos_answered(data, tmp_path):
    sharing, main = prepare(recipe(SHARING, MAIN), data, tmp_path, print)
    assert (sharing.name, main.name) == ("sharing", "main")
    tasks = main.task_set()
    assert set(tasks.question_ids) <= SHARED
    assert sharing.task_set() == tasks
    assert set(read_cards(sharing.cards, [tasks.tasks_hash])) == {"one", "two"}
    (alone,) = prepare(recipe(MAIN), data, tmp_path / "alone", print)
    assert not set(alone.task_set().question_ids) <= SHARED


def test_a_whole_benchmark_is_a_test_of_the_tasks_with_enough_questions(data, tmp_path):
    (zoo,) = prepare(recipe(WHOLE), data, tmp_path, print)
    tasks = zoo.task_set()
    assert [task.task for task in tasks.tasks] == TASKS[1:]
    assert all(len(task.question_ids) == 8 for task in tasks.tasks)
    assert [files.benchmark for files in zoo.data_sets] == ["gsm8k"]
    wants_more = WHOLE | {"aptitude_test": WHOLE["aptitude_test"] | {"min_shots": 9}}
    with pytest.raises(ArtifactError, match="no task of mmlu has 9 questions"):
        prepare(recipe(wants_more), data, tmp_path, print)


def test_a_candidate_need_not_answer_what_it_may_be_unable_to_read(tmp_path):
    questions = [
        {"question_id": f"q{i}", "benchmark": "mmlu", "task": TASKS[0], "prompt": f"{i}?"}
        | {"answer": "1", "request": '{"messages": [], "tools": [{}]}' if i == 5 else None}
        for i in range(6)
    ]
    write_table(QUESTIONS, questions, tmp_path / "questions.parquet")
    cells = [(f"q{i}", "reader", "crowd", 1.0) for i in range(6)]
    write_outcomes([*cells, *((q, "other", *rest) for q, _, *rest in cells[:5])], tmp_path)
    zoo = WHOLE | {"training_benchmarks": ["gsm8k"]}
    (prepared,) = prepare(recipe(zoo), tmp_path, tmp_path / "out", print)
    cards = read_cards(prepared.cards)
    assert [cards[name].statements[0].num_shots for name in ("reader", "other")] == [6, 5]


def test_a_test_of_all_questions_that_are_to_be_trained_on_is_refused(tmp_path):
    questions = [
        {"question_id": f"q{i}", "benchmark": "own", "task": f"t{i % 2}", "prompt": f"{i}?"}
        | {"answer": "1"}
        for i in range(6)
    ]
    write_table(QUESTIONS, questions, tmp_path / "questions.parquet")
    write_outcomes([(f"q{i}", "reader", "crowd", 1.0) for i in range(6)], tmp_path)
    words = {"t0": ["a", "b", "c", "d", "e"]}
    test = {"kind": "whole_benchmark", "benchmark": "own", "keywords": words}
    zoo = {"name": "z", "sources": ["crowd"], "training_benchmarks": ["own"]}
    lines = []
    (prepared,) = prepare(
        recipe(zoo | {"aptitude_test": test}), tmp_path, tmp_path / "out", lines.append
    )
    assert [task.task for task in prepared.task_set().tasks] == ["t0"]
    assert any("without keywords: t1" in line for line in lines)
    assert any("3 are in the aptitude test" in line for line in lines)
    all_words = {**words, "t1": words["t0"]}
    with pytest.raises(ConfigError, match="all 6 answered questions of own are in the aptitude"):
        prepare(
            recipe(zoo | {"aptitude_test": test | {"keywords": all_words}}),
            tmp_path,
            tmp_path / "none",
            print,
        )


def test_the_written_data_is_what_a_training_job_reads(data, tmp_path):
    prepare(recipe(MAIN, SHARING, WHOLE), data, tmp_path / "made", print)
    (tmp_path / "made").rename(tmp_path / "moved")
    entries = [DataSetConfig(**entry) for entry in read_data_file(tmp_path / "moved")]
    shapes = []
    for entry in entries:
        cards = tuple(read_cards(entry.cards).values())
        matrix = load_matrix(
            entry.questions,
            entry.outcomes,
            cards,
            exclude_questions=load_tasks(entry.tasks).question_ids,
        )
        shapes.append(matrix.correct_QM.shape)
    # The blank question and the 20 of the test are not trained on.
    assert shapes == [(len(TASKS) * PER_TASK - 1 - 20, 4), (20, 2), (5, 1)]


def test_a_share_of_the_questions_is_kept_for_evaluation_by_leak_group(data, tmp_path):
    (zoo,) = prepare(recipe(MAIN, test_fraction=0.3), data, tmp_path, print)
    (files,) = zoo.data_sets
    training = set(read_table(QUESTIONS, files.training_questions)["dup_group"].to_pylist())
    test = read_table(QUESTIONS, files.test_questions)
    assert not training & set(test["dup_group"].to_pylist())
    assert 0.2 < test.num_rows / (len(TASKS) * PER_TASK) < 0.4
    assert not set(zoo.task_set().question_ids) & set(test["question_id"].to_pylist())


def test_outcomes_of_unknown_questions_are_refused(data, tmp_path):
    write_table(QUESTIONS, read_table(QUESTIONS, data / "questions.parquet"), tmp_path / "q")
    (tmp_path / "q").rename(tmp_path / "questions.parquet")
    write_outcomes([("nowhere", "weak", "lab", 1.0)], tmp_path)
    with pytest.raises(ArtifactError, match=r"1 outcomes belong to questions .* 'nowhere'"):
        read_zoos(recipe(MAIN), tmp_path, print)


def test_a_folder_without_any_zoo_of_the_recipe_is_refused(data):
    with pytest.raises(ArtifactError, match="none of the recipe's zoos: mmlu"):
        read_zoos(load_recipe("mmlu"), data, print)


def test_the_command_refuses_in_one_line(tmp_path):
    shown = CliRunner().invoke(
        app, ["prepare", "mmlu", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    )
    assert shown.exit_code == ArtifactError.exit_code
    assert shown.stderr.startswith("error: ")
    assert "questions.parquet" in shown.stderr
