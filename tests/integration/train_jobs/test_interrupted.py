"""Training and the quickstart, interrupted from a terminal or killed with all they started."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.train_jobs.toy_job import (
    job_values,
    overfitting_job,
    same_weights,
    write_toy_tables,
)

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[3]
MESSAGE = "interrupted; run the same command again to continue"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start ``modelsat`` in a process group of its own, which does not outlive the test."""
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    started = []

    def _start(*arguments: str, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "modelsat.cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def stop_at(
    process: subprocess.Popen[str],
    words: str,
    sent: signal.Signals,
    send: Callable[[int, int], None] = os.killpg,
) -> str:
    """Send a signal to all processes once a line holds some words; returns all that was printed."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if words in line:
            break
    else:
        raise AssertionError(f"{words!r} was never printed: {''.join(lines)}")
    send(process.pid, sent)
    rest, _ = process.communicate(timeout=120)
    return "".join(lines) + rest


def test_interrupted_training_leaves_no_router_and_continues(tmp_path, start):
    tables = write_toy_tables(tmp_path / "tables")
    values = job_values(tables, tmp_path)
    values["training"]["all_stage"]["epochs"] = 8
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(values))
    run = start("train", "--config", str(config))
    output = stop_at(run, "stage all, epoch 1: training loss", signal.SIGINT)
    assert run.returncode == 130, output
    assert MESSAGE in output.splitlines()
    assert not (tmp_path / "router").exists()
    # A mark in the checkpoints reaches the router only if the second run continues from one; an
    # interruption may leave one or two more than the last.
    checkpoints = list((tmp_path / "training").glob("toy-*/checkpoint_*/progress.json"))
    assert checkpoints
    for checkpoint in checkpoints:
        progress = json.loads(checkpoint.read_text())
        progress["history"][0]["validation_loss"] = 123.0
        checkpoint.write_text(json.dumps(progress))
    again = start("train", "--config", str(config))
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    history = json.loads((tmp_path / "router" / "router.json").read_text())["manifest"]["history"]
    assert history[0]["validation_loss"] == 123.0
    assert [(entry["stage"], entry["epoch"]) for entry in history] == [
        *(("connector", epoch) for epoch in range(3)),
        *(("all", epoch) for epoch in range(9)),
    ]


def test_a_stopped_job_says_so_and_ends_with_one_json_document(tmp_path, start):
    """`ray job stop` sends SIGTERM; of what the workers say nothing reaches stdout."""
    values = job_values(write_toy_tables(tmp_path / "tables"), tmp_path)
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(values))
    run = start("train", "--config", str(config))
    output = stop_at(run, "stage connector, epoch 0", signal.SIGTERM, os.kill)
    assert run.returncode == 130, output
    assert MESSAGE in output.splitlines()
    again = start("train", "--config", str(config), "--json", stderr=subprocess.DEVNULL)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert json.loads(output)["history"][-1]["stage"] == "all"


def test_a_killed_job_goes_on_as_if_nothing_had_been(tmp_path, start, noisy_tables, stopped):
    """Driver, workers and the whole cluster, as when the machine loses power."""
    config = overfitting_job(noisy_tables, tmp_path)
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    run = start("train", "--config", str(path))
    stop_at(run, "stage all, epoch 2, step 5/", signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not config.router_dir.exists()
    again = start("train", "--config", str(path))
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert same_weights(stopped[0], config)


def test_interrupted_quickstart_keeps_what_is_done(tmp_path, start):
    folders = ("--directory", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"))
    run = start("quickstart", *folders, "--port", "18427")
    output = stop_at(run, "[2/6] train the demo zoo", signal.SIGINT)
    assert run.returncode == 130, output
    assert MESSAGE in output.splitlines()
    kept = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert kept == ["questions", "tasks.json"]
    assert not list(tmp_path.rglob(".*")), "temporaries start with a dot"
