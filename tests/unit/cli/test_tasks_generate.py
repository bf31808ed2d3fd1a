import json

import pytest
from typer.testing import CliRunner

from modelsat.aptitude.general import generate_form
from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.cli.main import app
from modelsat.errors import ArtifactError, ConfigError
from tests.support.profiling.zoo_files import save_model


def run(*arguments):
    return CliRunner().invoke(app, ["tasks", *map(str, arguments)])


def generate(folder, *options):
    return run("generate", "--form", 3, "--shots", 5, "--out", folder, *options)


def test_writes_the_questions_and_the_task_set_of_a_form(tmp_path):
    result = generate(tmp_path)
    assert result.exit_code == 0, result.output
    questions, task_set = generate_form(3, 5)
    assert read_table(QUESTIONS, tmp_path / "questions.parquet").equals(questions)
    assert load_tasks(tmp_path / "tasks.json") == task_set
    assert result.output == (
        f"{tmp_path}/questions.parquet: 250 questions, form 3\n"
        f"{tmp_path}/tasks.json: 50 core tasks, 250 questions of general, "
        f"task set {task_set.tasks_hash}\n"
    )


def test_json_names_files_domains_and_what_the_manifest_records(tmp_path):
    result = generate(tmp_path, "--tasks", "ciphers", "--domains", "planning", "--json")
    document = json.loads(result.stdout)
    manifest = read_manifest(tmp_path / "questions.parquet")
    assert manifest == {"generated": "general", "form": 3, "shots": 5}
    assert document.pop("questions") == str(tmp_path / "questions.parquet")
    assert document.pop("task_set") == str(tmp_path / "tasks.json")
    assert document.pop("tasks_hash") == load_tasks(tmp_path / "tasks.json").tasks_hash
    assert document.pop("domains") == {
        "text": ["ciphers"],
        "planning": ["shortest_routes", "schedules", "best_selections"],
    }
    assert document == manifest


def test_forms_and_tasks_of_several_benchmarks_are_combined_and_shown(tmp_path):
    generate(tmp_path / "a", "--tasks", "ciphers")
    generate(tmp_path / "b", "--tasks", "schedules")
    other = json.loads((tmp_path / "b" / "tasks.json").read_text()) | {"benchmark": "mmlu"}
    (tmp_path / "mmlu.json").write_text(json.dumps(other))
    out = tmp_path / "mixed.json"
    result = run("combine", tmp_path / "a" / "tasks.json", tmp_path / "mmlu.json", "--out", out)
    assert result.exit_code == 0, result.output
    shown = run("show", out)
    header, first, second, summary = shown.output.splitlines()
    assert header.split()[:3] == ["task", "benchmark", "shots"]
    assert first.split()[:3] == ["ciphers", "general", "5"]
    assert second.split()[:3] == ["schedules", "mmlu", "5"]
    assert summary == result.output.strip()
    assert "2 core tasks, 10 questions of general+mmlu, task set " in summary
    document = json.loads(run("show", out, "--json").stdout)
    assert [task["benchmark"] for task in document["tasks"]] == ["general", "mmlu"]
    facts = run(
        "combine", tmp_path / "a" / "tasks.json", tmp_path / "mmlu.json", "--out", out, "--json"
    )
    assert json.loads(facts.stdout) == {
        "file": str(out),
        "tasks_hash": document["tasks_hash"],
        "benchmark": "general+mmlu",
        "tasks": 2,
    }


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        (("generate", "--form", "-1", "--out", "x"), ConfigError, "form is -1"),
        (("generate", "--form", "1", "--shots", "7", "--out", "x"), ConfigError, "multiple of 5"),
        (("generate", "--form", "1", "--tasks", "chess", "--out", "x"), ConfigError, "'chess'"),
        (("generate", "--form", "1", "--domains", "chess", "--out", "x"), ConfigError, "'chess'"),
        (("combine", "none.json", "--out", "x"), ArtifactError, "none.json does not exist"),
        (("combine", "a.json", "--out", "a.json"), ConfigError, "is also an input"),
    ],
)
def test_user_error_is_one_line_and_writes_nothing(tmp_path, monkeypatch, arguments, error, named):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == error.exit_code
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert [*tmp_path.iterdir()] == []


def test_task_sets_that_clash_are_refused_by_name(tmp_path):
    generate(tmp_path / "a", "--tasks", "ciphers")
    tasks = tmp_path / "a" / "tasks.json"
    result = run("combine", tasks, tasks, "--out", tmp_path / "mixed.json")
    assert result.exit_code == ArtifactError.exit_code
    assert f"task 'ciphers' is in {tasks} and in {tasks}" in result.stderr
    assert not (tmp_path / "mixed.json").exists()


def test_a_mixed_test_can_be_profiled(tmp_path):
    from profiling.config import ProfileConfig
    from profiling.work import plan_run

    generate(tmp_path / "a", "--tasks", "ciphers")
    row = {"question_id": "m1", "benchmark": "mmlu", "task": "law", "prompt": "?", "answer": "no"}
    write_table(QUESTIONS, [row], tmp_path / "mmlu.parquet")
    task = {"task": "law", "keywords": list("abcde"), "question_ids": ["m1"]}
    (tmp_path / "mmlu.json").write_text(json.dumps({"benchmark": "mmlu", "tasks": [task]}))
    mixed = tmp_path / "mixed.json"
    run("combine", tmp_path / "a" / "tasks.json", tmp_path / "mmlu.json", "--out", mixed)
    save_model(tmp_path / "model", 1.0)
    (tmp_path / "zoo.yaml").write_text(
        "{version: 1, candidates: [{name: a, engine: vllm, context_window: 64, llm_config: "
        "{model_loading_config: {model_source: ./model}}}]}"
    )
    config = ProfileConfig(
        zoo=tmp_path / "zoo.yaml",
        questions=(tmp_path / "a" / "questions.parquet", tmp_path / "mmlu.parquet"),
        tasks=mixed,
        output_dir=tmp_path / "out",
    )
    plan = plan_run(config)
    assert (len(plan.rows), plan.tasks) == (6, load_tasks(mixed))
