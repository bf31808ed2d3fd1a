"""A pytest plugin that writes how long the tests of each file took.

``pytest -p tests.benchmarks.tests.file_times`` with the folder in ``MODELSAT_TEST_TIMES``. The
times are those of set-up, test and tear-down; of files that run side by side, they overlap.
"""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

FOLDER_VARIABLE = "MODELSAT_TEST_TIMES"


class _FileTimes:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._num_tests: defaultdict[str, int] = defaultdict(int)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        self._seconds[file] += report.duration
        self._num_tests[file] += report.when == "call"

    def pytest_sessionfinish(self) -> None:
        files = {
            file: {"seconds": seconds, "num_tests": self._num_tests[file]}
            for file, seconds in self._seconds.items()
        }
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(files))


def pytest_configure(config: pytest.Config) -> None:
    """Measure in the process that hears of all tests, not in the workers of pytest-xdist."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_FileTimes(Path(folder)))
