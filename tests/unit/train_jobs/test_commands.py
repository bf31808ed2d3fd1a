"""The command around a training, which these tests replace: how it ends and what it prints."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from typer.testing import CliRunner, Result

from modelsat.cli.app_errors import INTERRUPTED_EXIT_CODE
from modelsat.cli.main import app
from train_jobs import train_router as job
from train_jobs.train_router import start_ray

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


def test_a_job_that_is_stopped_says_how_to_go_on(
    sigterm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Ray is there, and as soon as it is."""
    leave = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "init", lambda **_options: signal.signal(signal.SIGTERM, leave))

    def be_stopped(_config: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def be_stopped_with_ray(config: Any) -> None:
        start_ray()
        be_stopped(config)

    for training in (be_stopped, be_stopped_with_ray):
        monkeypatch.setattr(job, "train_router", training)
        result = train()
        assert result.exit_code == INTERRUPTED_EXIT_CODE
        assert "interrupted; run the same command again to continue" in result.output
