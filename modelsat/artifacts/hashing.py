"""Content hashes that decide whether earlier results are still valid."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelsat.errors import ArtifactError

HASH_LENGTH = 16  # hex digits kept of a SHA-256: 64 bits


def content_hash(value: Any) -> str:
    """Hash a JSON-serialisable value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def file_hash(path: str | Path) -> str:
    """Hash a file's bytes.

    Raises:
        ArtifactError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:HASH_LENGTH]
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from None


def directory_hash(path: str | Path, *, exclude: Iterable[str] = ()) -> str:
    """Hash the relative names and bytes of a directory's files.

    Args:
        path: directory.
        exclude: relative file names to leave out.
    """
    root = Path(path)
    if not root.is_dir():
        raise ArtifactError(f"directory {path} does not exist")
    skipped = set(exclude)
    files = sorted(p for p in root.rglob("*") if p.is_file())
    named = [(str(p.relative_to(root)), p) for p in files]
    return content_hash([(name, file_hash(p)) for name, p in named if name not in skipped])
