import json

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.aptitude.keywords import load_keywords
from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.cli.main import app
from modelsat.errors import ArtifactError, ConfigError
from tests.support.profiling.zoo_files import save_model


def run(*arguments):
    return CliRunner().invoke(app, ["tasks", *map(str, arguments)])


@pytest.fixture
def archive(tmp_path):
    """MMLU's archive with made-up questions: every subject, 24 questions each."""
    folder = tmp_path / "mmlu" / "test"
    folder.mkdir(parents=True)
    for subject in load_keywords("mmlu"):
        lines = [f"{subject} number {i}?,one,two,three,four,{'ABCD'[i % 4]}\n" for i in range(24)]
        (folder / f"{subject}_test.csv").write_text("".join(lines))
    return folder.parent


def test_fifty_of_57_imported_subjects_become_an_aptitude_test(archive, tmp_path):
    questions = tmp_path / "questions.parquet"
    result = run("import", "mmlu", "--source", archive, "--out", questions)
    assert result.exit_code == 0, result.output
    assert result.output == f"{questions}: 1368 questions of 57 tasks of mmlu\n"
    rng = np.random.default_rng(0)
    outcomes = [
        {"question_id": q, "candidate": name, "correct": float(rng.random() < share)}
        for q in read_table(QUESTIONS, questions)["question_id"].to_pylist()
        for name, share in zip("abcdefgh", np.linspace(0.2, 0.8, 8), strict=True)
    ]
    write_table(OUTCOMES, outcomes, tmp_path / "outcomes.parquet")
    chosen = tmp_path / "tasks.json"
    options = ("--outcomes", tmp_path / "outcomes.parquet", "--benchmark", "mmlu", "--out", chosen)
    result = run("select", "--questions", questions, *options)
    assert result.exit_code == 0, result.output
    task_set = load_tasks(chosen)
    assert (len(task_set.tasks), len(task_set.question_ids)) == (50, 1000)


def test_json_and_manifest_record_the_origin_of_questions(archive, tmp_path):
    out = tmp_path / "few.parquet"
    options = ("--source", archive, "--out", out, "--per-task", 3, "--seed", 5, "--json")
    result = run("import", "mmlu", *options)
    document = json.loads(result.stdout)
    assert document.pop("file") == str(out)
    assert document.pop("tasks") == dict.fromkeys(sorted(load_keywords("mmlu")), 3)
    assert document == read_manifest(out)
    assert {key: document[key] for key in ("imported", "source", "split", "per_task", "seed")} == {
        "imported": "mmlu",
        "source": str(archive),
        "split": "test",
        "per_task": 3,
        "seed": 5,
    }


def test_imported_questions_can_be_profiled_directly(archive, tmp_path):
    from profiling.config import ProfileConfig
    from profiling.work import plan_run

    out = tmp_path / "questions.parquet"
    run("import", "mmlu", "--source", archive, "--out", out, "--per-task", 1)
    save_model(tmp_path / "model", 1.0)
    (tmp_path / "zoo.yaml").write_text(
        "{version: 1, candidates: [{name: a, engine: vllm, context_window: 64, llm_config: "
        "{model_loading_config: {model_source: ./model}}}]}"
    )
    config = ProfileConfig(zoo=tmp_path / "zoo.yaml", questions=(out,), output_dir=tmp_path / "o")
    assert len(plan_run(config).rows) == 57


def test_imports_demo_questions_and_own_tables(tmp_path):
    bank = tmp_path / "bank.parquet"
    result = run("import", "demo", "--out", bank, "--split", "test", "--per-task", 2)
    assert result.output == f"{bank}: 100 questions of 50 tasks of demo\n"
    assert set(read_table(QUESTIONS, bank)["split"].to_pylist()) == {"test"}
    mine = tmp_path / "mine.csv"
    mine.write_text("question_id,benchmark,task,prompt,answer\nq1,mine,sums,1+1?,2\n")
    result = run("import", "own", "--source", mine, "--out", tmp_path / "mine.parquet")
    assert result.exit_code == 0, result.output
    assert read_table(QUESTIONS, tmp_path / "mine.parquet")["answer"].to_pylist() == ["2"]


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        (("hellaswag",), ConfigError, "unknown benchmark 'hellaswag'; allowed: mmlu, "),
        (("own",), ConfigError, "as --source"),
        (("own", "--source", "none.csv"), ArtifactError, "none.csv does not exist"),
        (("demo", "--source", "x"), ConfigError, "is generated"),
        (("mmlu", "--source", ".", "--revision", "v2"), ConfigError, "no revision 'v2'"),
        (("mmlu", "--source", "."), ArtifactError, "has no split 'test'"),
        (("demo", "--per-task", "0"), ConfigError, "0"),
    ],
)
def test_user_error_is_one_line_and_writes_nothing(tmp_path, options, error, named):
    result = run("import", *options, "--out", tmp_path / "out.parquet")
    assert result.exit_code == error.exit_code
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert not (tmp_path / "out.parquet").exists()
