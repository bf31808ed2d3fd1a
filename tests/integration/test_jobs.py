"""Profiling and training as jobs of a Ray cluster that asks for a token."""

import re
import time
from pathlib import Path

import pytest
import yaml

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.router_description import read_description
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_json, read_table, write_table
from modelsat.capability.cards import build_cards, read_cards, write_cards
from tests.support.cluster import Cluster
from tests.support.profiling.tiny_model import save_tiny_model, zoo_entry
from tests.support.profiling.url_bench import (
    BATCH_SIZE,
    BLOCK_SIZE,
    CONTEXT_WORDS,
    NUM_QUESTIONS,
    NUM_TOO_LONG,
    configure,
    remote,
    write_inputs,
)
from tests.support.upstream import running_upstream

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
STOP_WAIT = '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "30"}}'  # as the documents have it


def test_the_job_server_answers_those_with_the_token_only(cluster: Cluster) -> None:
    token = cluster.environment["RAY_AUTH_TOKEN"]
    assert cluster.status(token) == 200
    assert cluster.status(None) == 401
    assert cluster.status("another") in (401, 403)


@pytest.mark.parametrize("token", [None, "another"])
def test_a_job_without_the_token_is_refused(
    cluster: Cluster, tmp_path: Path, token: str | None
) -> None:
    environment = dict(cluster.stranger)
    if token is not None:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    witness = tmp_path / "ran"
    result = cluster.submit("touch", str(witness), environment=environment)
    assert result.returncode != 0
    assert re.search(r"Authentication (required|failed): .* token$", result.stderr, re.MULTILINE)
    assert not witness.exists()


def test_a_candidate_is_profiled_as_a_job(cluster: Cluster, tmp_path: Path) -> None:
    config = _profiling_inputs(tmp_path)
    result = cluster.submit("python", "-m", "profiling.aptitude_test", "--config", str(config))
    assert result.returncode == 0, result.stdout + result.stderr
    cards = read_cards(tmp_path / "out" / "cards.parquet")
    assert cards["tiny"].statements[0].num_shots == 4


def test_a_router_is_trained_as_a_job(cluster: Cluster, tmp_path: Path) -> None:
    options = _training_options(tmp_path)
    result = cluster.submit(
        *("python", "-m", "train_jobs.train_router", "--config", "train_jobs/configs/tiny.yaml"),
        *(word for option in options for word in ("--set", option)),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    manifest = read_description(tmp_path / "router")["manifest"]
    assert manifest["num_workers"] == 2
    assert manifest["candidates"] == [["left", "right"]]


def test_a_jobs_mistake_is_readable_and_fails_the_job(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "none.yaml"
    result = cluster.submit("python", "-m", "profiling.aptitude_test", "--config", str(config))
    assert result.returncode != 0
    assert f"error: cannot read configuration {config}" in result.stdout + result.stderr


def test_a_stopped_job_ends_by_itself_and_goes_on_when_submitted_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_inputs(tmp_path)
    with running_upstream(context_words=CONTEXT_WORDS, latency_s=0.5) as upstream:
        config = configure(tmp_path, "out", remote("far", upstream.url))
        entry = ("python", "-m", "profiling.aptitude_test", "--config", str(config))
        options = ("--no-wait", "--submission-id", "stopped", "--runtime-env-json", STOP_WAIT)
        submitted = cluster.submit(*entry, options=options)
        assert submitted.returncode == 0, submitted.stderr
        answered = tmp_path / "out" / "checkpoints" / "far"
        while len(list(answered.glob("*/answered/*"))) * BATCH_SIZE < 0.4 * NUM_QUESTIONS:
            assert not cluster.has_ended("stopped"), cluster.job("logs", "stopped").stdout
            time.sleep(0.1)
        upstream.behave(fault="silence")  # however late it is stopped, it has not ended before
        assert cluster.job("stop", "stopped").returncode == 0
        assert "STOPPED" in cluster.job("status", "stopped").stdout.upper()
        log = cluster.job("logs", "stopped").stdout
        assert "interrupted; run the same command again to continue" in log
        upstream.behave(context_words=CONTEXT_WORDS)
        again = cluster.submit(*entry)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "questions are settled by an earlier run" in again.stdout
    assert "1 candidate(s) profiled, 0 kept, 0 failed" in again.stdout
    [row] = read_json(tmp_path / "out" / "report.json")["candidates"]
    assert row["num_failed"] == NUM_TOO_LONG
    assert row["num_repeated"] <= BLOCK_SIZE


def _profiling_inputs(folder: Path) -> Path:
    save_tiny_model(folder / "tiny", seed=0)
    zoo = {"version": 1, "candidates": [zoo_entry("tiny", folder / "tiny")]}
    (folder / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    ids = [f"q{i}" for i in range(4)]
    rows = [
        {
            "question_id": question_id,
            "benchmark": "words",
            "task": "echo",
            "prompt": f"w{i} w{i + 1}",
            "answer": f"w{i}",
        }
        for i, question_id in enumerate(ids)
    ]
    write_table(QUESTIONS, rows, folder / "questions.parquet")
    task = CoreTask(task="echo", keywords=tuple("abcde"), question_ids=tuple(ids))
    TaskSet(benchmark="words", tasks=(task,)).save(folder / "tasks.json")
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "questions": [str(folder / "questions.parquet")],
        "tasks": str(folder / "tasks.json"),
        "output_dir": str(folder / "out"),
        "candidate_deadline_s": 200,
        "max_truncated_fraction": 1.0,
    }
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _training_options(folder: Path) -> list[str]:
    """Two candidates, each good at one of two tasks; one epoch per stage."""
    ids = [f"{task}-{i}" for task in ("left", "right") for i in range(40)]
    rows = [
        {
            "question_id": question_id,
            "benchmark": "sides",
            "task": question_id.split("-")[0],
            "prompt": question_id.replace("-", " "),
            "answer": "A",
        }
        for question_id in ids
    ]
    write_table(QUESTIONS, rows, folder / "questions.parquet")
    outcomes = [
        {"question_id": q, "candidate": name, "correct": float(q.startswith(name))}
        for name in ("left", "right")
        for q in ids
    ]
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    tasks = TaskSet(
        benchmark="sides",
        tasks=tuple(
            CoreTask(
                task=task,
                keywords=(task, "side", "turn", "arrow", "hand"),
                question_ids=tuple(f"{task}-{i}" for i in range(8)),
            )
            for task in ("left", "right")
        ),
    )
    tasks.save(folder / "tasks.json")
    table = read_table(OUTCOMES, folder / "outcomes.parquet")
    write_cards(build_cards(table, tasks), folder / "cards.parquet")
    return [
        f"data.0.questions=[{folder / 'questions.parquet'}]",
        f"data.0.outcomes={folder / 'outcomes.parquet'}",
        f"data.0.cards={folder / 'cards.parquet'}",
        f"data.0.tasks={folder / 'tasks.json'}",
        f"storage_path={folder / 'training'}",
        f"router_dir={folder / 'router'}",
        "training.all_stage.epochs=1",
    ]
