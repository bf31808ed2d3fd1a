"""Versions of the served zoo on disk: ordinary artifacts, one folder for each.

``versions/000007/`` holds ``zoo.yaml``, ``cards.parquet`` and ``version.json``. A folder appears
whole or not at all; one process writes, any number of processes read.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml

from modelsat.artifacts.store import atomic_directory, read_json, write_json
from modelsat.capability.cards import read_cards, write_cards
from modelsat.config import FrozenConfig, parse_config
from modelsat.errors import ArtifactError, ConfigError, ZooError
from modelsat.zoo.zoo_file import load_zoo
from serve_app.contracts.zoo_state import ZooState

_ZOO = "zoo.yaml"
_CARDS = "cards.parquet"
_RECORD = "version.json"

_log = logging.getLogger("ray.serve.modelsat")


class VersionRecord(FrozenConfig):
    """Description of one version, next to the zoo itself.

    Attributes:
        version: its number.
        created_at: when it was written, UTC.
        change: the change that led to it.
        router: router directory.
        router_hash: hash of the router's files when the version was written.
        seed: hash of the configured files that it descends from.
    """

    version: int
    created_at: datetime
    change: str
    router: str
    router_hash: str
    seed: str


def _now() -> datetime:
    return datetime.now(UTC)


class ZooStore:
    """The versions in one folder."""

    def __init__(
        self, folder: Path, *, num_versions: int, clock: Callable[[], datetime] = _now
    ) -> None:
        """Take the folder, the number of versions that it keeps, and the time of day."""
        self.folder = folder
        self._versions = folder / "versions"
        self._num_versions = num_versions
        self._clock = clock

    def write(self, state: ZooState, *, change: str, router_hash: str, seed: str) -> VersionRecord:
        """Write a version, then delete the oldest beyond those to be kept.

        Raises:
            ArtifactError: this version or a newer one exists: another process writes here.
            MachineError: the disk is full or the folder cannot be written.
        """
        newest = max(self._numbers(), default=0)
        if newest >= state.version:
            raise ArtifactError(
                f"{self.folder} holds version {newest} already, so version {state.version} cannot "
                "be written; another endpoint uses this folder: give each its own registry.folder"
            )
        record = VersionRecord(
            version=state.version,
            created_at=self._clock(),
            change=change,
            router=state.router,
            router_hash=router_hash,
            seed=seed,
        )
        with atomic_directory(self._path(state.version)) as directory:
            zoo = state.zoo.model_dump(mode="json")
            (directory / _ZOO).write_text(yaml.safe_dump(zoo, sort_keys=False), encoding="utf-8")
            write_cards(state.cards, directory / _CARDS)
            write_json(directory / _RECORD, record.model_dump(mode="json"))
        self._prune()
        return record

    def read(self, version: int) -> ZooState:
        """Return a version as it was served.

        Raises:
            ArtifactError: there is no such version, or its files are damaged.
        """
        path = self._path(version)
        record = self.record(version)
        try:
            zoo = load_zoo(path / _ZOO)
        except ZooError as error:
            raise ArtifactError(str(error)) from None
        cards = read_cards(path / _CARDS)
        if record.version != version or not set(cards) <= set(zoo.names):
            raise ArtifactError(f"{path} is damaged: its files belong to different versions")
        return ZooState(version, zoo, tuple(cards.values()), record.router)

    def record(self, version: int) -> VersionRecord:
        """Return the description of a version.

        Raises:
            ArtifactError: there is no such version, or its record is damaged.
        """
        path = self._path(version) / _RECORD
        if not path.parent.is_dir():
            numbers = self._numbers()
            kept = f"{numbers[0]} to {numbers[-1]}" if numbers else "none"
            raise ArtifactError(f"version {version} does not exist; there are {kept}")
        try:
            return parse_config(VersionRecord, read_json(path), source=str(path))
        except ConfigError as error:
            raise ArtifactError(str(error)) from None

    def newest(self) -> tuple[ZooState, VersionRecord] | None:
        """Return the newest version with intact files; None if there is none."""
        for number in reversed(self._numbers()):
            try:
                return self.read(number), self.record(number)
            except ArtifactError as error:
                _log.warning("version %d of the zoo is skipped: %s", number, error)
        return None

    def next_version(self) -> int:
        """Return the number after the highest in use, damaged versions included."""
        return max(self._numbers(), default=0) + 1

    def records(self) -> tuple[VersionRecord, ...]:
        """Return the description of every version, newest first, without damaged versions."""
        found = []
        for number in reversed(self._numbers()):
            try:
                found.append(self.record(number))
            except ArtifactError as error:
                _log.warning("version %d of the zoo is skipped: %s", number, error)
        return tuple(found)

    def _path(self, version: int) -> Path:
        return self._versions / f"{version:06d}"

    def _numbers(self) -> list[int]:
        """Numbers in use, ascending."""
        if not self._versions.is_dir():
            return []
        return sorted(int(p.name) for p in self._versions.iterdir() if p.name.isdecimal())

    def _prune(self) -> None:
        for number in self._numbers()[: -self._num_versions]:
            # Renamed first: a half-deleted folder must not look like a version.
            retired = tempfile.mkdtemp(prefix=".retired-", dir=self._versions)
            os.replace(self._path(number), retired)
        for leftover in self._versions.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
