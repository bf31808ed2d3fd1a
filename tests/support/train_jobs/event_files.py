"""TensorBoard's event files read as TensorBoard reads them, without TensorBoard."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog


def read_scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Values by tag and step of all event files of a folder, in the order of their names.

    A session that starts at a step hides what earlier ones wrote at that step and after.
    """
    scalars: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        for event in _events(path):
            if event.session_log.status == SessionLog.START:
                scalars = {
                    tag: {step: value for step, value in values.items() if step < event.step}
                    for tag, values in scalars.items()
                }
            for value in event.summary.value:
                scalars.setdefault(value.tag, {})[event.step] = value.simple_value
    return scalars


def _events(path: Path) -> Iterator[Event]:
    """The records of a file: length, its checksum, the event, its checksum."""
    content = path.read_bytes()
    start = 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        yield Event.FromString(content[start + 12 : start + 12 + length])
        start += 12 + length + 4
