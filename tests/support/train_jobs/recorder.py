"""Fake experiment trackers that record, fail or never respond."""

import threading
from collections.abc import Sequence

from train_jobs.tracker_feed import Row


class Recorder:
    """A tracker that fails a number of times, then records what it receives."""

    name = "mlflow"

    def __init__(self, run: str = "first", fails: int = 0) -> None:
        self.run = run
        self.fails = fails
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.run_ids: list[str | None] = []
        self.is_closed = False

    def open(self, run_id: str | None) -> str:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("http://user:secret@tracker:5000 refuses\nTraceback")
        self.run_ids.append(run_id)
        return run_id or self.run

    def url(self) -> str:
        return f"run {self.run}"

    def log(self, rows: Sequence[Row]) -> None:
        self.logged += [(row.step, dict(row.scalars)) for row in rows]

    def close(self) -> None:
        self.is_closed = True


class Unresponsive(Recorder):
    """A tracker that never responds."""

    def open(self, run_id: str | None) -> str:
        threading.Event().wait()
        raise AssertionError("nobody sets the event")
