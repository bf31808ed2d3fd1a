"""The public command at work, to be killed anywhere, and what it has kept of a candidate."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from modelsat.artifacts.store import read_json

ROOT = Path(__file__).parents[3]


@dataclass
class Run:
    """One run.

    Attributes:
        process: the command.
        checkpoints: the candidate's folder.
        num_rows: answers by file, as far as seen.
    """

    process: subprocess.Popen[str]
    checkpoints: Path
    num_rows: dict[Path, int] = field(default_factory=dict)

    def num_kept(self) -> int:
        """Answers on disk."""
        for path in self.checkpoints.glob("*/answered/*.parquet"):
            if path not in self.num_rows:
                self.num_rows[path] = pq.read_metadata(path).num_rows
        return sum(self.num_rows.values())

    def open_batches(self) -> dict[str, int]:
        """Questions by key of the batches that are, or were, before an engine without an end."""
        found = {}
        for path in self.checkpoints.glob("*/asked/*.json"):
            with suppress(FileNotFoundError):  # its batch has ended since it was listed
                if not (path.parents[1] / "answered" / f"{path.stem}.parquet").exists():
                    found[path.stem] = len(read_json(path)["question_ids"])
        return found

    def num_lost(self) -> int:
        """Questions that were before an engine when it was killed."""
        return sum(self.open_batches().values())

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Return as soon as something holds; fail if the run ends before."""
        while not is_so():
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.01)

    def wait_until_kept(self, num_answers: float) -> None:
        """Return as soon as so many answers are on disk; fail if the run ends before."""
        self.wait_until(lambda: self.num_kept() >= num_answers)

    def workers(self, title: str) -> list[psutil.Process]:
        """The run's processes whose title begins so."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it ended since it was listed
                if any(part.startswith(title) for part in child.cmdline()):
                    found.append(child)
        return found

    def kill_worker(self, title: str) -> None:
        """Kill -9 the run's one process of that title."""
        [worker] = self.workers(title)
        worker.kill()

    def kill_driver(self) -> None:
        """Kill -9 the command; its replicas and engines end with it."""
        answering = self.workers("ray::MapWorker") + self.workers("VLLM::EngineCore")
        self.process.kill()
        self.process.communicate()
        assert psutil.wait_procs(answering, timeout=60)[1] == []

    def end(self, timeout_s: float = 400) -> str:
        """Wait for the end and return what was said on the way."""
        return self.process.communicate(timeout=timeout_s)[1]


@contextmanager
def starting_runs(**variables: str) -> Iterator[Callable[..., Run]]:
    """Starts runs, each with a Ray of its own, that do not outlive the block.

    Args:
        variables: of their environment, beside this process's.
    """
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    started = []

    def start(config: Path, checkpoints: Path, *changes: str) -> Run:
        options = [option for change in changes for option in ("--set", change)]
        process = subprocess.Popen(
            [sys.executable, "-m", "profiling.aptitude_test", "--config", str(config), *options],
            cwd=ROOT,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return Run(process, checkpoints)

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
