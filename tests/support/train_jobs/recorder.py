"""Experiment trackers that remember, fail or keep silent."""

import threading
from collections.abc import Sequence

from train_jobs.tracker_feed import Row


class Recorder:
    """A tracker that fails as often as told, then remembers what it hears."""

    name = "mlflow"

    def __init__(self, run: str = "first", fails: int = 0) -> None:
        self.run = run
        self.fails = fails
        self.heard: list[tuple[int, dict[str, float]]] = []
        self.known: list[str | None] = []
        self.is_closed = False

    def open(self, known: str | None) -> str:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("http://user:secret@tracker:5000 refuses\nTraceback")
        self.known.append(known)
        return known or self.run

    def where(self) -> str:
        return f"run {self.run}"

    def tell(self, rows: Sequence[Row]) -> None:
        self.heard += [(row.step, dict(row.scalars)) for row in rows]

    def close(self) -> None:
        self.is_closed = True


class Deaf(Recorder):
    """A tracker that never answers."""

    def open(self, known: str | None) -> str:
        threading.Event().wait()
        raise AssertionError("nobody sets the event")
