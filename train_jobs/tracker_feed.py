"""Send a run's scalars to an experiment tracker from a thread, without blocking training."""

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

_FOLDER = "trackers"  # inside the run's folder
_MAX_BUFFERED_ROWS = 10_000  # while a tracker does not respond: about 20 MB
# MLflow accepts 1000 values per message; a row has about twenty.
_ROWS_PER_MESSAGE = 40
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")  # of a URL


@dataclass(frozen=True)
class Row:
    """All scalars of a step.

    Attributes:
        step: step of the whole run.
        unix_s: time of the step's first scalar.
        scalars: values by name.
    """

    step: int
    unix_s: float
    scalars: dict[str, float]


class Tracker(Protocol):
    """A run of an experiment tracker; every method may block, and may raise any exception."""

    name: TrackerName

    def open(self, run_id: str | None) -> str:
        """Start a run, or resume one.

        Args:
            run_id: the tracker's run of this training; None if there is none yet.

        Returns:
            The run id to pass when the training is resumed.
        """

    def url(self) -> str:
        """Return where the open run can be viewed, on one line."""

    def log(self, rows: Sequence[Row]) -> None:
        """Log the scalars of steps."""

    def close(self) -> None:
        """End the run; no other call may follow."""


@dataclass(frozen=True)
class FeedTiming:
    """Intervals and timeouts of a feed.

    Attributes:
        send_s: interval between messages, which a kill can lose.
        retry_s: delay after a failure.
        end_s: how long to wait at the end of training.
    """

    send_s: float = 10.0
    retry_s: float = 30.0
    end_s: float = 30.0


class TrackerFeed:
    """Sends scalars to a tracker; buffers them, up to a limit, while it does not respond.

    A step is sent when it is complete. A resumed training continues the tracker's run, and skips
    the steps that it repeats and that were sent before.

    Args:
        tracker: receives the scalars.
        storage_path: storage of the training's run.
        run: its folder there, where the tracker's run id is stored.
        repeats_from: first step that an earlier worker may have sent.
        say: logs a message when the run is open and when the tracker fails.
        timing: intervals and timeouts.
    """

    def __init__(
        self,
        tracker: Tracker,
        storage_path: str,
        run: str,
        *,
        repeats_from: int,
        say: Callable[[str], None],
        timing: FeedTiming | None = None,
    ) -> None:
        """Start the thread, which opens the tracker's run."""
        self._tracker = tracker
        self._storage = (storage_path, f"{run}/{_FOLDER}")
        self._opened: tuple[FileSystem, str] | None = None
        self._repeats_from = repeats_from
        self._say = say
        self._timing = timing or FeedTiming()
        self._is_open = False
        self._has_failed = False
        self._run_id: str | None = None
        self._sent_before = self._last_sent = -1
        self._ends_s = 0.0
        # The following attributes are shared with the thread, under the condition's lock.
        self._changed = threading.Condition()
        self._rows: list[Row] = []
        self._row: Row | None = None  # of the current step, still incomplete
        self._num_lost = 0
        self._send_now = False
        self._is_ending = False
        # A daemon thread does not keep a finished process alive.
        self._thread = threading.Thread(target=self._work, name=tracker.name, daemon=True)
        self._thread.start()

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Add scalars of a step."""
        with self._changed:
            if self._row is None or self._row.step != step:
                self._complete()
                self._row = Row(step, time.time(), {})
            self._row.scalars.update(scalars)

    def publish(self) -> None:
        """Send everything now, since a resumed training does not repeat it."""
        with self._changed:
            self._complete()
            self._send_now = True
            self._changed.notify()

    def end(self) -> None:
        """Start sending the rest; only :meth:`wait` may follow."""
        self._ends_s = time.monotonic() + self._timing.end_s
        with self._changed:
            self._complete()
            self._is_ending = True
            self._changed.notify()

    def wait(self) -> None:
        """Wait until the rest is sent, up to the configured timeout."""
        self._thread.join(max(0.0, self._ends_s - time.monotonic()))
        with self._changed:
            num_missing = len(self._rows) + self._num_lost
        if num_missing:
            self._say(f"{self._tracker.name} is missing {num_missing} steps of this run")
        elif self._thread.is_alive():
            self._say(
                f"{self._tracker.name} took more than {self._timing.end_s:g} s to end its run"
            )

    def _complete(self) -> None:
        """Queue the current step; it is lost if the buffer is full."""
        row, self._row = self._row, None
        if row is not None and len(self._rows) < _MAX_BUFFERED_ROWS:
            self._rows.append(row)
        elif row is not None:
            self._num_lost += 1

    def _work(self) -> None:
        is_ending = False
        while not is_ending:
            was_sent = self._try(self._send)
            with self._changed:
                if was_sent:
                    self._changed.wait_for(
                        lambda: self._send_now or self._is_ending, self._timing.send_s
                    )
                else:
                    self._changed.wait_for(lambda: self._is_ending, self._timing.retry_s)
                self._send_now = False
                is_ending = self._is_ending
        if self._try(self._send):
            self._try(self._tracker.close)

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - no error of a tracker may stop training
            if not self._has_failed:
                self._say(f"{self._tracker.name} failed, training continues: {_line(error)}")
            self._is_open, self._has_failed = False, True
            return False
        self._has_failed = False
        return True

    def _send(self) -> None:
        if not self._is_open:
            self._open()
        while rows := self._first_rows():
            new = [row for row in rows if not self._repeats_from <= row.step <= self._sent_before]
            if new:
                self._tracker.log(new)
                self._last_sent = max(self._last_sent, new[-1].step)
                self._write_state()
            with self._changed:
                del self._rows[: len(rows)]

    def _open(self) -> None:
        if self._run_id is None:
            self._read_state()
        self._run_id = self._tracker.open(self._run_id)
        self._is_open = True
        self._write_state()
        self._say(f"{self._tracker.name} logs this run: {self._tracker.url()}")

    def _first_rows(self) -> list[Row]:
        with self._changed:
            return self._rows[:_ROWS_PER_MESSAGE]

    def _read_state(self) -> None:
        """Read the tracker's run id and the last sent step of an earlier worker, if any."""
        filesystem, folder = self._opened = open_run(*self._storage)
        path = f"{folder}/{self._tracker.name}.json"
        if filesystem.get_file_info(path).type != FileType.File:
            return
        with filesystem.open_input_stream(path) as stream, suppress(ValueError):  # half written
            state = json.loads(stream.read())
            self._run_id, self._sent_before = state["run"], state["last_step"]
            self._last_sent = self._sent_before

    def _write_state(self) -> None:
        """Store both with the checkpoints; without them a resumed training starts a new run."""
        if self._opened is None:
            return
        filesystem, folder = self._opened
        state = {"run": self._run_id, "last_step": self._last_sent}
        try:
            filesystem.create_dir(folder)
            with filesystem.open_output_stream(f"{folder}/{self._tracker.name}.json") as stream:
                stream.write(json.dumps(state).encode())
        except OSError as error:
            self._say(f"cannot store the run id of {self._tracker.name} in {folder}: {error}")
            self._opened = None


def _line(error: Exception) -> str:
    """Return an error's first line, without credentials in URLs."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return _CREDENTIALS.sub("", text)
