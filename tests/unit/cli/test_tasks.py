import json

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.cli.main import app
from modelsat.errors import ArtifactError, ConfigError, ZooError

TASKS = ("astronomy", "virology", "management")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def select(tmp_path):
    """Writes tables of a made-up zoo and runs `tasks select`."""
    rng = np.random.default_rng(0)
    questions, outcomes = [], []
    for task in TASKS:
        for i in range(10):
            row = {"question_id": f"{task}-{i}", "benchmark": "mmlu", "task": task}
            questions.append(row | {"prompt": "text", "answer": "A", "category": "science"})
            for place, name in enumerate("abcdef"):
                correct = float(rng.random() < 0.1 + 0.15 * place)
                row = {"question_id": f"{task}-{i}", "candidate": name, "source": "one"}
                outcomes += [row | {"correct": correct}, row | {"correct": 1.0, "source": "two"}]
    write_table(QUESTIONS, questions, tmp_path / "questions.parquet")
    write_table(OUTCOMES, outcomes, tmp_path / "outcomes.parquet")

    def run_select(*extra):
        return run(
            *("tasks", "select", "--questions", tmp_path / "questions.parquet"),
            *("--outcomes", tmp_path / "outcomes.parquet", "--benchmark", "mmlu"),
            *("--out", tmp_path / "tasks.json", "--num-tasks", 2, "--shots", 4, *extra),
        )

    return run_select


def test_selects_and_shows_core_tasks(select, tmp_path):
    result = select("--sources", "one", "--report", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    task_set = load_tasks(tmp_path / "tasks.json")
    assert [len(task.question_ids) for task in task_set.tasks] == [4, 4]
    assert f"2 core tasks, 8 questions of mmlu, task set {task_set.tasks_hash}" in result.output
    assert "6 candidates, seed 0" in result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tasks_hash"] == task_set.tasks_hash
    assert report["sources"] == ["one"]
    (dropped,) = report["dropped"]
    assert f"dropped {dropped['task']}: {dropped['reason']}" in result.output

    shown = run("tasks", "show", tmp_path / "tasks.json")
    assert shown.output.count("\n") == 4
    assert task_set.tasks[0].description in shown.output
    document = json.loads(run("tasks", "show", tmp_path / "tasks.json", "--json").stdout)
    assert document["tasks_hash"] == task_set.tasks_hash
    assert document["tasks"][1]["question_ids"] == list(task_set.tasks[1].question_ids)


def test_json_is_the_report(select, tmp_path):
    result = select("--sources", "one", "--json", "--report", tmp_path / "report.json")
    document = json.loads(result.stdout)
    assert document.pop("file") == str(tmp_path / "tasks.json")
    assert document == json.loads((tmp_path / "report.json").read_text())
    assert [len(document["tasks"]), document["seed"]] == [2, 0]


def test_uses_keyword_file_and_candidates(select, tmp_path):
    (tmp_path / "words.yaml").write_text("science: [a, b, c, d, e]\n")
    options = ("--keywords", tmp_path / "words.yaml", "--by", "category", "--num-tasks", 1)
    result = select("--sources", "one", "--candidates", "a,d,f", *options, "--json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["num_answers"]) == ["a", "d", "f"]
    (task,) = load_tasks(tmp_path / "tasks.json").tasks
    assert (task.task, task.description) == ("science", "a, b, c, d, e")


def test_same_seed_writes_the_same_file(select, tmp_path):
    result = select("--sources", "one", "--seed", 5, "--json")
    assert json.loads(result.stdout)["seed"] == 5
    first = (tmp_path / "tasks.json").read_bytes()
    select("--sources", "one", "--seed", 5)
    assert (tmp_path / "tasks.json").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ((), ArtifactError, "(two sources?)"),
        (("--sources", "three"), ArtifactError, "it has one, two"),
        (("--sources", "one", "--benchmark", "mine"), ConfigError, "'mine'"),
        (("--sources", "one", "--num-tasks", "9"), ConfigError, "3 usable core tasks"),
        (("--sources", "one", "--by", "category"), ConfigError, "without keywords: science"),
        (("--sources", "one", "--candidates", "a,z"), ZooError, "for z"),
        (("--sources", "one", "--keywords", "none.yaml"), ConfigError, "none.yaml"),
    ],
)
def test_user_error_is_one_line_and_writes_nothing(select, tmp_path, options, error, named):
    result = select(*options)
    assert result.exit_code == error.exit_code
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert not (tmp_path / "tasks.json").exists()


def test_invalid_task_set_is_a_one_line_error(tmp_path):
    result = run("tasks", "show", tmp_path / "none.json")
    assert result.exit_code == ArtifactError.exit_code
    assert result.stderr == f"error: {tmp_path}/none.json does not exist\n"
