"""What an experiment tracker is told, by a thread of its own: training never waits for it."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pyarrow.fs import FileSystem, FileType

from train_jobs.config import TrackerName
from train_jobs.storage import open_run

_FOLDER = "trackers"  # within the run's
_KEPT_ROWS = 10_000  # while a tracker does not answer: some 20 MB
# MLflow takes 1000 values in a message; a row holds about twenty.
_ROWS_PER_MESSAGE = 40
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")  # of a URL


@dataclass(frozen=True)
class Row:
    """All that is told of one step.

    Attributes:
        step: of the whole run.
        unix_s: when it was first told of.
        scalars: values by name.
    """

    step: int
    unix_s: float
    scalars: dict[str, float]


class Tracker(Protocol):
    """A run of an experiment tracker; each method may take its time, and may raise anything."""

    name: TrackerName

    def open(self, known: str | None) -> str:
        """Begin a run, or go on with one.

        Args:
            known: the run that this training was told to before; None if there is none.

        Returns:
            The run to go on with when the training is resumed.
        """

    def where(self) -> str:
        """Where people find the open run, on one line."""

    def tell(self, rows: Sequence[Row]) -> None:
        """Tell of steps."""

    def close(self) -> None:
        """End the run; nothing may follow."""


@dataclass(frozen=True)
class Pace:
    """How often a tracker is told, and how long it is waited for.

    Attributes:
        send_s: between two messages: what a kill can cost.
        retry_s: after a failure.
        end_s: at the end of a training.
    """

    send_s: float = 10.0
    retry_s: float = 30.0
    end_s: float = 30.0


class TrackerFeed:
    """Tells one tracker of a run; what it does not take is kept, within bounds, and told later.

    A step is told once all of it is known. A resumed training goes on in the tracker's run, and
    leaves out those of the steps it repeats that were told.

    Args:
        tracker: who is told.
        storage_path: storage of the training's run.
        run: its folder there, which keeps the name of the tracker's run.
        repeats_from: first step of which an earlier worker may have told.
        say: told when the run is open and when the tracker fails.
        pace: how often it is told, and how long waited for.
    """

    def __init__(
        self,
        tracker: Tracker,
        storage_path: str,
        run: str,
        *,
        repeats_from: int,
        say: Callable[[str], None],
        pace: Pace | None = None,
    ) -> None:
        """Start the thread, which opens the tracker's run."""
        self._tracker = tracker
        self._storage = (storage_path, f"{run}/{_FOLDER}")
        self._opened: tuple[FileSystem, str] | None = None
        self._repeats_from = repeats_from
        self._say = say
        self._pace = pace or Pace()
        self._is_open = False
        self._has_failed = False
        self._known: str | None = None
        self._told_before = self._last_told = -1
        self._ends_s = 0.0
        # What follows is shared with the thread, under the condition's lock.
        self._changed = threading.Condition()
        self._rows: list[Row] = []
        self._row: Row | None = None  # of the present step, of which more may come
        self._num_lost = 0
        self._is_asked = False
        self._is_ending = False
        # A daemon does not keep a process that has done its work.
        self._thread = threading.Thread(target=self._work, name=tracker.name, daemon=True)
        self._thread.start()

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Take scalars of a step."""
        with self._changed:
            if self._row is None or self._row.step != step:
                self._complete()
                self._row = Row(step, time.time(), {})
            self._row.scalars.update(scalars)

    def publish(self) -> None:
        """Let the tracker have all that is known: a resumed training does not repeat it."""
        with self._changed:
            self._complete()
            self._is_asked = True
            self._changed.notify()

    def end(self) -> None:
        """Ask the tracker to take the rest; nothing may follow but :meth:`wait`."""
        self._ends_s = time.monotonic() + self._pace.end_s
        with self._changed:
            self._complete()
            self._is_ending = True
            self._changed.notify()

    def wait(self) -> None:
        """Wait until the tracker has taken the rest, within bounds."""
        self._thread.join(max(0.0, self._ends_s - time.monotonic()))
        with self._changed:
            num_lacking = len(self._rows) + self._num_lost
        if num_lacking:
            self._say(f"{self._tracker.name} lacks {num_lacking} steps of this run")
        elif self._thread.is_alive():
            self._say(f"{self._tracker.name} took more than {self._pace.end_s:g} s to end its run")

    def _complete(self) -> None:
        """Let the present step be told; new ones are lost once too many wait."""
        row, self._row = self._row, None
        if row is not None and len(self._rows) < _KEPT_ROWS:
            self._rows.append(row)
        elif row is not None:
            self._num_lost += 1

    def _work(self) -> None:
        is_ending = False
        while not is_ending:
            is_told = self._try(self._send)
            with self._changed:
                if is_told:
                    self._changed.wait_for(
                        lambda: self._is_asked or self._is_ending, self._pace.send_s
                    )
                else:
                    self._changed.wait_for(lambda: self._is_ending, self._pace.retry_s)
                self._is_asked = False
                is_ending = self._is_ending
        if self._try(self._send):
            self._try(self._tracker.close)

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever a library raises, training goes on
            if not self._has_failed:
                self._say(f"{self._tracker.name} is not told, training goes on: {_line(error)}")
            self._is_open, self._has_failed = False, True
            return False
        self._has_failed = False
        return True

    def _send(self) -> None:
        if not self._is_open:
            self._open()
        while rows := self._first_rows():
            new = [row for row in rows if not self._repeats_from <= row.step <= self._told_before]
            if new:
                self._tracker.tell(new)
                self._last_told = max(self._last_told, new[-1].step)
                self._keep_note()
            with self._changed:
                del self._rows[: len(rows)]

    def _open(self) -> None:
        if self._known is None:
            self._read_note()
        self._known = self._tracker.open(self._known)
        self._is_open = True
        self._keep_note()
        self._say(f"{self._tracker.name} is told of this run: {self._tracker.where()}")

    def _first_rows(self) -> list[Row]:
        with self._changed:
            return self._rows[:_ROWS_PER_MESSAGE]

    def _read_note(self) -> None:
        """Find the tracker's run, and the last step it was told, where an earlier worker was."""
        filesystem, folder = self._opened = open_run(*self._storage)
        path = f"{folder}/{self._tracker.name}.json"
        if filesystem.get_file_info(path).type != FileType.File:
            return
        with filesystem.open_input_stream(path) as stream, suppress(ValueError):  # half written
            note = json.loads(stream.read())
            self._known, self._told_before = note["run"], note["last_step"]
            self._last_told = self._told_before

    def _keep_note(self) -> None:
        """Keep both beside the checkpoints; without, a resumed training begins another run."""
        if self._opened is None:
            return
        filesystem, folder = self._opened
        note = {"run": self._known, "last_step": self._last_told}
        try:
            filesystem.create_dir(folder)
            with filesystem.open_output_stream(f"{folder}/{self._tracker.name}.json") as stream:
                stream.write(json.dumps(note).encode())
        except OSError as error:
            self._say(f"{folder} cannot keep which run of {self._tracker.name} this is: {error}")
            self._opened = None


def _line(error: Exception) -> str:
    """An error's first line, without what a URL in it may hold of credentials."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return _CREDENTIALS.sub("", text)
