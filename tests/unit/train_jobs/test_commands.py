"""Exit codes and output of the train command; training itself is replaced."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from typer.testing import CliRunner, Result

from modelsat.artifacts.router_description import DESCRIPTION_NAME, ROUTER_SCHEMA_VERSION
from modelsat.cli.app_errors import INTERRUPTED_EXIT_CODE
from modelsat.cli.main import app
from modelsat.config import load_config
from tests.support.train_jobs.toy_job import job_values, write_toy_tables
from train_jobs import job
from train_jobs.config import TrainJobConfig
from train_jobs.job import TrainSummary, connected_ray, run_name

TINY = Path(__file__).parents[3] / "train_jobs" / "configs" / "tiny.yaml"


def train(*options: str) -> Result:
    """Run ``modelsat train`` in this process."""
    return CliRunner().invoke(app, ["train", "--config", str(TINY), *options])


@pytest.fixture
def sigterm() -> Iterator[None]:
    """SIGTERM exits, as the handler does that ray.init installs; afterwards all is as before."""

    def leave(_number: int, _frame: Any) -> None:
        raise SystemExit(15)

    before = signal.signal(signal.SIGTERM, leave)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_prepared_folder_takes_the_place_of_the_jobs_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Paths of its data file start at the folder; ``--set`` still changes single values."""
    entry = {"questions": ["z/q"], "outcomes": "z/o", "cards": "z/c", "tasks": "z/t"}
    (tmp_path / "data.yaml").write_text(json.dumps({"data": [entry]}))
    seen: list[TrainJobConfig] = []

    def finish(config: TrainJobConfig) -> TrainSummary:
        seen.append(config)
        history = ({"validation_loss": 0.5, "validation_auc": 0.7},)
        return TrainSummary(config.router_dir, was_done=False, history=history)

    monkeypatch.setattr(job, "train_router", finish)
    result = train("--data", str(tmp_path), "--set", "data.0.candidates=[a]")
    assert result.exit_code == 0, result.output
    ((data,),) = [config.data for config in seen]
    assert data.questions == (tmp_path / "z/q",)
    assert (data.outcomes, data.cards) == (tmp_path / "z/o", tmp_path / "z/c")
    assert (data.tasks, data.candidates) == (tmp_path / "z/t", ("a",))
    (tmp_path / "data.yaml").write_text("{}")
    assert "run `modelsat prepare` again" in train("--data", str(tmp_path)).stderr


def test_stopped_job_says_how_to_continue(sigterm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after Ray has started."""
    leave = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "init", lambda **_options: signal.signal(signal.SIGTERM, leave))

    def be_stopped(_config: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def be_stopped_with_ray(config: Any) -> None:
        with connected_ray():
            be_stopped(config)

    for training in (be_stopped, be_stopped_with_ray):
        monkeypatch.setattr(job, "train_router", training)
        result = train()
        assert result.exit_code == INTERRUPTED_EXIT_CODE
        assert "interrupted; run the same command again to continue" in result.output


def test_only_json_reaches_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray passes lines of the workers on to the driver's stdout."""
    history = ({"validation_loss": 0.5, "validation_auc": None},)

    def train_router(_config: Any) -> TrainSummary:
        sys.stdout.write("(RayTrainWorker pid=1) a line of a worker\n")
        return TrainSummary(Path("router"), was_done=False, history=history)

    monkeypatch.setattr(job, "train_router", train_router)
    result = train("--json")
    assert json.loads(result.stdout) == {
        "router_dir": "router",
        "was_done": False,
        "history": list(history),
    }
    assert "a line of a worker" in result.stderr
    assert "a line of a worker" in train().stdout


def test_only_json_of_an_existing_router_reaches_stdout(tmp_path: Path) -> None:
    """Runs in a separate process, where all imports happen for the first time."""
    values = job_values(write_toy_tables(tmp_path), tmp_path)
    path = tmp_path / "job.json"
    path.write_text(json.dumps(values))
    config = load_config(TrainJobConfig, path)
    history = [{"validation_loss": 0.5, "validation_auc": None}]
    manifest = {
        "work_hash": run_name(config).removeprefix("toy-"),
        "num_workers": config.resources.num_workers,
        "history": history,
    }
    description = {"schema_version": ROUTER_SCHEMA_VERSION, "manifest": manifest}
    config.router_dir.mkdir()
    (config.router_dir / DESCRIPTION_NAME).write_text(json.dumps(description))
    command = [sys.executable, "-m", "modelsat.cli", "train", "--config", str(path), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "router_dir": str(config.router_dir),
        "was_done": True,
        "history": history,
    }
