"""What a run of the tests starts, as the processes of the machine show it.

Ray and vLLM give their processes titles, and every process inherits the environment of the run. So
a look at all processes finds what belongs to the run, however it was started: by a test, by a
command in a process of its own, or by a cluster. Linux only.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_VARIABLE = "MODELSAT_TEST_RUN"
# The process that each of them has exactly once.
TITLES = {
    "Ray clusters": re.compile(rb"gcs_server"),
    "Serve instances": re.compile(rb"^ray::ServeController"),
    "endpoints": re.compile(rb"^ray::ServeReplica:router:ZooController"),
    "Ray Train runs": re.compile(rb"^ray::TrainController"),
    "vLLM engines": re.compile(rb"^VLLM::EngineCore"),
}
LOOK_EVERY_S = 0.25
Process = tuple[str, bytes]  # number and start time: numbers are used again


class Started:
    """Counts processes of one run by what they are."""

    def __init__(self, run: str, processes: Path = Path("/proc")) -> None:
        """Count for a run.

        Args:
            run: value of ``RUN_VARIABLE`` in the environment of its processes.
            processes: where Linux describes processes.
        """
        self._mark = f"{RUN_VARIABLE}={run}\0".encode()
        self._processes = processes
        self._is_ours: dict[Process, bool] = {}
        self._seen: set[tuple[str, Process]] = set()

    @property
    def counts(self) -> Counter[str]:
        """How many of each have been seen so far."""
        return Counter(what for what, _ in self._seen)

    def look(self) -> None:
        """See what runs now."""
        for folder in self._processes.iterdir():
            if folder.name.isdigit():
                try:
                    self._look_at(folder)
                except OSError:  # it ended since it was listed
                    continue

    def _look_at(self, folder: Path) -> None:
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        process = (folder.name, fields[19])
        if process not in self._is_ours:
            self._is_ours[process] = self._mark in (folder / "environ").read_bytes()
        if not self._is_ours[process]:
            return
        title = (folder / "cmdline").read_bytes().partition(b"\0")[0]
        self._seen |= {(what, process) for what, words in TITLES.items() if words.search(title)}


@contextmanager
def counting(run: str) -> Iterator[Started]:
    """Count what a run starts for as long as a block runs."""
    started, over = Started(run), threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            started.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield started
    finally:
        over.set()
        thread.join()
