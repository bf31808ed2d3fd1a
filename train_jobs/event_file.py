"""TensorBoard's event file of a run."""

import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow.fs import FileSystem, copy_files
from tensorboardX import RecordWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from train_jobs.storage import is_url, open_run

_FOLDER = "tensorboard"  # inside the run's folder
_FLUSH_S = 10  # maximum delay until a scalar is on disk, if others follow


class EventFile:
    """Writes a run's scalars to an event file; if writing fails, training continues without it.

    tensorboardX's ``SummaryWriter`` writes in a thread, which dies on a full disk; its queue then
    fills, and training hangs.

    Args:
        storage_path: storage of the run.
        run: its folder there.
        repeats_from: step from which this run repeats steps of an earlier file, which are then
            hidden; None if there is no earlier file.
        say: logs a message when the file cannot be written.
    """

    def __init__(
        self, storage_path: str, run: str, *, repeats_from: int | None, say: Callable[[str], None]
    ) -> None:
        """Open the file."""
        self._say = say
        self._upload_to: tuple[FileSystem, str] | None = None
        self._folder = Path(storage_path) / run / _FOLDER
        if is_url(storage_path):
            # Object stores cannot append to a file, so a local file is uploaded.
            self._upload_to = open_run(storage_path, f"{run}/{_FOLDER}")
            self._folder = Path(tempfile.mkdtemp(prefix=f"{run}-{_FOLDER}-"))
        self._writer: RecordWriter | None = None
        self._flushed_s = 0.0
        self._try(self._open, repeats_from)

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Add scalars of a step."""
        self._try(self._append, scalars, step)

    def publish(self) -> None:
        """Flush the file, and upload it if the storage is remote."""
        self._try(self._flush)
        if self._upload_to is None:
            return
        filesystem, folder = self._upload_to
        try:
            filesystem.create_dir(folder)
            copy_files(str(self._folder), folder, destination_filesystem=filesystem)
        except OSError as error:  # the next upload includes everything
            self._say(f"cannot upload event files to {folder}: {error}")

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._try(self._writer.close)
        self._writer = None
        if self._upload_to is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, repeats_from: int | None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}"
        self._writer = RecordWriter(str(self._folder / name))
        self._add(file_version="brain.Event:2")
        if repeats_from is not None:
            self._add(step=repeats_from, session_log=SessionLog(status=SessionLog.START))
        self._flush()

    def _append(self, scalars: Mapping[str, float], step: int) -> None:
        for name, value in scalars.items():
            self._add(step=step, summary=scalar(name, value))
        if time.monotonic() - self._flushed_s > _FLUSH_S:
            self._flush()

    def _add(self, **parts: Any) -> None:
        if self._writer is not None:
            self._writer.write(Event(wall_time=time.time(), **parts).SerializeToString())

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()
            self._flushed_s = time.monotonic()

    def _try(self, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except OSError as error:
            self._say(f"writing event files in {self._folder} stopped: {error}")
            if self._writer is not None:
                with suppress(OSError):
                    self._writer.close()
            self._writer = None
