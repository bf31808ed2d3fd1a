import json

import pytest
import yaml
from typer.testing import CliRunner

from modelsat.aptitude.tasks import CoreTask, TaskSet, combine_task_sets
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import read_cards
from modelsat.cli.main import app
from modelsat.errors import ArtifactError, ConfigError, GradingError, ZooError

TASKS = TaskSet(
    benchmark="demo",
    tasks=(CoreTask(task="sums", keywords=tuple("abcde"), question_ids=("q1", "q2")),),
)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def question(question_id, task="sums"):
    return {
        "question_id": question_id,
        "benchmark": "demo",
        "task": task,
        "prompt": "1 + 1?",
        "answer": "2",
    }


def outcome(candidate, question_id, correct, source=None):
    row = {"candidate": candidate, "question_id": question_id, "correct": correct}
    return {**row, "source": source}


@pytest.fixture
def build(tmp_path):
    """Writes the inputs and runs `cards build`."""

    def run_build(outcomes, *extra, questions=("q1", "q2"), task_set=TASKS):
        task_set.save(tmp_path / "tasks.json")
        rows = [q if isinstance(q, dict) else question(q) for q in questions]
        write_table(QUESTIONS, rows, tmp_path / "questions.parquet")
        write_table(OUTCOMES, outcomes, tmp_path / "outcomes.parquet", {"engine": "fake"})
        return run(
            *("cards", "build", "--questions", tmp_path / "questions.parquet"),
            *("--outcomes", tmp_path / "outcomes.parquet", "--tasks", tmp_path / "tasks.json"),
            *("--out", tmp_path / "cards.parquet", *extra),
        )

    return run_build


GOOD = [outcome(name, q, float(name == "a")) for name in "ab" for q in ("q1", "q2")]


def test_builds_and_shows_cards(build, tmp_path):
    result = build(GOOD)
    assert result.exit_code == 0, result.output
    cards = read_cards(tmp_path / "cards.parquet", [TASKS.tasks_hash])
    assert [card.accuracy_fraction for card in cards.values()] == [1.0, 0.0]
    assert json.loads(cards["a"].provenance)["outcomes_manifest"] == {"engine": "fake"}

    shown = run("cards", "show", tmp_path / "cards.parquet")
    assert f"2 cards of task set {TASKS.tasks_hash}" in shown.output
    full = run("cards", "show", tmp_path / "cards.parquet", "--candidate", "b")
    assert "accuracy 0.0% on sums: a, b, c, d, e" in full.output


def test_builds_cards_of_a_test_with_tasks_of_several_benchmarks(build, tmp_path):
    law = TaskSet(
        benchmark="mmlu",
        tasks=(CoreTask(task="law", keywords=tuple("fghij"), question_ids=("m1",)),),
    )
    mixed = combine_task_sets([("demo", TASKS), ("mmlu", law)])
    outcomes = [*GOOD, outcome("a", "m1", 0.0), outcome("b", "m1", 1.0)]
    questions = ("q1", "q2", question("m1", "law") | {"benchmark": "mmlu"})
    result = build(outcomes, questions=questions, task_set=mixed)
    assert result.exit_code == 0, result.output
    cards = read_cards(tmp_path / "cards.parquet", [mixed.tasks_hash])
    assert [s.task for s in cards["a"].statements] == ["sums", "law"]
    refused = build(outcomes, questions=("q1", "q2", question("m1", "law")), task_set=mixed)
    assert refused.exit_code == ArtifactError.exit_code
    assert "the task set has it under ('mmlu', 'law')" in refused.stderr


def test_json_has_the_complete_cards(build):
    document = json.loads(build(GOOD, "--json").stdout)
    card = document["cards"][0]
    assert (card["candidate"], card["accuracy_fraction"]) == ("a", 1.0)
    assert card["statements"][0]["num_shots"] == 2


def test_notes_are_stored_with_their_card(build, tmp_path):
    notes = tmp_path / "notes.yaml"
    notes.write_text("b: tuned on sums\n")
    assert build(GOOD, "--notes", notes).exit_code == 0
    assert [card.notes for card in read_cards(tmp_path / "cards.parquet").values()] == [
        "",
        "tuned on sums",
    ]
    shown = run("cards", "show", tmp_path / "cards.parquet", "--candidate", "b")
    assert "tuned on sums" in shown.output
    notes.write_text("c: nobody\n")
    refused = build(GOOD, "--notes", notes)
    assert refused.exit_code == ZooError.exit_code
    assert "notes for c, but no outcome" in refused.stderr
    notes.write_text("b: [1]\n")
    assert build(GOOD, "--notes", notes).exit_code == ConfigError.exit_code


def test_source_option_selects_one_of_two_overlapping_sources(build, tmp_path):
    rows = [
        outcome("a", q, value, s) for s, value in (("x", 1.0), ("y", 0.0)) for q in ("q1", "q2")
    ]
    refused = build(rows)
    assert refused.exit_code == GradingError.exit_code
    assert "two sources" in refused.stderr
    assert build(rows, "--source", "y").exit_code == 0
    assert read_cards(tmp_path / "cards.parquet")["a"].accuracy_fraction == 0.0
    unknown = build(rows, "--source", "z")
    assert unknown.exit_code == ArtifactError.exit_code
    assert "no outcome of source 'z'; it has x, y" in unknown.stderr


@pytest.mark.parametrize(
    ("questions", "named"),
    [
        (["q1"], "lacks the aptitude question 'q2' of task 'sums'"),
        (["q1", question("q2", task="words")], "('demo', 'words')"),
    ],
)
def test_rejects_questions_of_another_task_set(build, tmp_path, questions, named):
    result = build(GOOD, questions=questions)
    assert result.exit_code == ArtifactError.exit_code
    assert named in result.stderr
    assert not (tmp_path / "cards.parquet").exists()


def test_missing_table_is_a_one_line_error(tmp_path):
    result = run("cards", "show", tmp_path / "none.parquet")
    assert result.exit_code == ArtifactError.exit_code
    assert result.stderr == f"error: cards table {tmp_path}/none.parquet does not exist\n"


def test_unknown_candidate_error_lists_the_candidates(build, tmp_path):
    build(GOOD)
    result = run("cards", "show", tmp_path / "cards.parquet", "--candidate", "x")
    assert result.exit_code == ZooError.exit_code
    assert result.stderr == "error: no card for x; there are cards for a, b\n"


@pytest.fixture
def zoo_file(tmp_path):
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    path = tmp_path / "zoo.yaml"
    llm_config = {"model_loading_config": {"model_id": "tiny", "model_source": "./tiny"}}
    candidate = {"name": "tiny", "engine": "vllm", "llm_config": llm_config, "context_window": 64}
    path.write_text(yaml.safe_dump({"version": 1, "candidates": [candidate]}))
    return path


def test_valid_zoo_is_listed(zoo_file):
    result = run("zoo", "validate", zoo_file)
    assert result.exit_code == 0
    assert f"{zoo_file}: 1 candidates, no problems found" in result.output
    document = json.loads(run("zoo", "validate", zoo_file, "--json").stdout)
    (candidate,) = document["candidates"]
    assert candidate["source"] == str(zoo_file.parent / "tiny")
    assert candidate["endpoints"] == "chat, completions"
    assert candidate["tools"] is False


def test_rejects_a_zoo_with_an_invalid_model_directory(zoo_file):
    (zoo_file.parent / "tiny" / "config.json").unlink()
    result = run("zoo", "validate", zoo_file)
    assert result.exit_code == ZooError.exit_code
    assert "candidate 'tiny'" in result.stderr
    assert result.stdout == ""
