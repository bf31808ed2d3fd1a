"""Training and the quickstart, interrupted from a terminal or killed with all they started."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from tests.support.train_jobs.toy_job import overfitting_job, same_weights

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


@contextmanager
def terminal() -> Iterator[tuple[int, list[str]]]:
    """A terminal: what a process writes to, and, once the block has ended, what it showed."""
    reads, writes = os.openpty()
    shown: list[str] = []

    def read() -> None:
        with suppress(OSError):  # no process has it open any more
            while text := os.read(reads, 1 << 16):
                shown.append(text.decode(errors="replace"))

    reader = threading.Thread(target=read)
    reader.start()
    yield writes, shown
    os.close(writes)
    reader.join()
    os.close(reads)


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


def test_interrupted_job_resumes_with_the_same_result(tmp_path, start, noisy_tables, stopped):
    config = overfitting_job(noisy_tables, tmp_path)
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))

    # A terminal sends SIGINT to all processes; the quickstart below gets SIGTERM.
    run = start("train", "--config", str(path))
    output = stop_at(run, "stage all, epoch 1: training loss", signal.SIGINT)
    assert run.returncode == 130, output
    assert MESSAGE in output.splitlines()

    # A machine that loses power ends driver, workers and the whole cluster.
    run = start("train", "--config", str(path))
    output = stop_at(run, ", step 5/", signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert "continuing after stage" in output
    assert not config.router_dir.exists()

    # Of what the workers say nothing reaches stdout; a terminal shows a bar of the steps.
    with terminal() as (device, shown):
        run = start("train", "--config", str(path), "--json", stderr=device)
        output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert json.loads(output)["history"][-1]["stage"] == "all"
    assert re.search(r"train: +\d+%\|#.*\| \d+/\d+ steps, .* left", "".join(shown))
    assert same_weights(stopped[0], config)


@pytest.mark.parametrize("interrupts", [signal.SIG_DFL, signal.SIG_IGN])
def test_interrupted_quickstart_keeps_finished_work(tmp_path, start, interrupts):
    """By Ctrl-C, or by SIGTERM to a command that a shell started in the background."""
    folders = ("--directory", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"))
    before = signal.signal(signal.SIGINT, interrupts)  # what the command inherits
    run = start("quickstart", *folders, "--port", "18427")
    signal.signal(signal.SIGINT, before)
    sent = signal.SIGINT if interrupts == signal.SIG_DFL else signal.SIGTERM
    output = stop_at(run, "[2/6] train the demo zoo", sent, os.kill)
    assert run.returncode == 130, output
    assert MESSAGE in output.splitlines()
    kept = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert kept == ["questions", "tasks.json"]
    assert not list(tmp_path.rglob(".*")), "temporaries start with a dot"
    with pytest.raises(ProcessLookupError):  # nothing is left of its process group
        os.killpg(run.pid, 0)
