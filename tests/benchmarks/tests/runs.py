"""``make test`` from beginning to end: its time, the time of every file, and what it starts."""

import json
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from modelsat.errors import QualityError
from tests.benchmarks.tests.file_times import FOLDER_VARIABLE
from tests.benchmarks.tests.started import RUN_VARIABLE, counting

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class TestRun:
    """One run of all checks and tests.

    Attributes:
        minutes: of wall time, set-up apart.
        seconds_by_file: set-up, tests and tear-down of each file.
        num_tests_by_file: tests of each file that ran.
        started: how many clusters, endpoints, trainings and engines it started, by kind.
    """

    __test__ = False  # no test class, though pytest would take it for one by its name

    minutes: float
    seconds_by_file: dict[str, float]
    num_tests_by_file: dict[str, int]
    started: Counter[str]


def run_tests(command: Sequence[str]) -> TestRun:
    """Run the tests once.

    Args:
        command: what runs them with pytest, in one process or several after another.

    Raises:
        QualityError: the command failed; figures of a failed run would compare with nothing.
    """
    run = uuid4().hex
    with tempfile.TemporaryDirectory(prefix="test-times-") as folder:
        environment = os.environ | {
            RUN_VARIABLE: run,
            FOLDER_VARIABLE: folder,
            "PYTEST_ADDOPTS": "-p tests.benchmarks.tests.file_times",
        }
        started_s = time.monotonic()
        with counting(run) as started:
            status = subprocess.run(command, cwd=ROOT, env=environment).returncode
        minutes = (time.monotonic() - started_s) / 60
        if status != 0:
            raise QualityError(f"{' '.join(command)} failed with {status}; fix the tests first")
        files = _read(Path(folder))
    return TestRun(
        minutes,
        {file: figures["seconds"] for file, figures in files.items()},
        {file: figures["num_tests"] for file, figures in files.items()},
        started.counts,
    )


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """Figures by file; a file that pytest ran in several processes has their sum."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        for file, figures in json.loads(path.read_text()).items():
            found = files.setdefault(file, {"seconds": 0.0, "num_tests": 0})
            for name, value in figures.items():
                found[name] += value
    return files
