"""What Weights & Biases keeps of a run on disk, read without its server.

A ``.wandb`` file is a log in LevelDB's format: after a header of 7 bytes, blocks of 32 KiB with
records that may be cut at their ends, each piece after its checksum (4 bytes), length (2) and kind
(1: whole, 2: first, 3: middle, 4: last). A record is one protocol buffer.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

_HEADER_BYTES = 7  # of the file, and of each piece
_BLOCK_BYTES = 32 << 10
_LAST_PIECES = (1, 4)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a run in logged order."""
    records = [Record.FromString(content) for content in _records(path.read_bytes())]
    return [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item}
        for row in (record.history for record in records if record.HasField("history"))
    ]


def read_run(path: Path) -> tuple[str, str, dict[str, Any]]:
    """Name, project and configuration of a run."""
    for content in _records(path.read_bytes()):
        record = Record.FromString(content)
        if record.HasField("run"):
            config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            return record.run.display_name, record.run.project, config
    raise AssertionError(f"{path} has no run")


def _records(content: bytes) -> Iterator[bytes]:
    start, record = _HEADER_BYTES, b""
    while start + _HEADER_BYTES <= len(content):
        left = _BLOCK_BYTES - start % _BLOCK_BYTES
        if left < _HEADER_BYTES:
            start += left
            continue
        length, kind = struct.unpack_from("<HB", content, start + 4)
        record += content[start + _HEADER_BYTES : start + _HEADER_BYTES + length]
        start += _HEADER_BYTES + length
        if kind in _LAST_PIECES:
            yield record
            record = b""
