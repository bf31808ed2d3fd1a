"""Wall time of the experiments, and the code and machines that ran them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from modelsat.artifacts.store import read_json, write_json
from tests.benchmarks.report.provenance import provenance

_NAME = "effort.json"


@dataclass(frozen=True)
class Effort:
    """Time spent on one experiment so far, interrupted runs included.

    Attributes:
        seconds: wall time.
        days: days of the runs, UTC.
        commits: commits of the code that ran.
        hardware: machines that it ran on.
    """

    seconds: float = 0.0
    days: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()

    def plus(self, other: "Effort") -> "Effort":
        """Return the sum of both."""
        return Effort(
            self.seconds + other.seconds,
            _union(self.days, other.days),
            _union(self.commits, other.commits),
            _union(self.hardware, other.hardware),
        )


@contextmanager
def record_effort(directory: Path, result: Path) -> Iterator[None]:
    """Add the time of a block to an experiment's record, also if the block is interrupted.

    Args:
        directory: folder of the experiment.
        result: file that the block writes; a block that leaves it unchanged had nothing to do and
            is not recorded.
    """
    head, started_s = provenance(), time.monotonic()
    before = _written_at(result)
    try:
        yield
    finally:
        if before is None or _written_at(result) != before:
            seconds = time.monotonic() - started_s
            spent = Effort(seconds, (head.date,), (head.commit,), (head.hardware,))
            write_json(directory / _NAME, asdict(_read(directory / _NAME).plus(spent)))


def total_effort(work: Path) -> Effort:
    """Return the effort of all experiments in a folder."""
    total = Effort()
    for path in sorted(work.glob(f"*/{_NAME}")):
        total = total.plus(_read(path))
    return total


def _read(path: Path) -> Effort:
    if not path.is_file():
        return Effort()
    found = read_json(path)
    lists = {name: tuple(found[name]) for name in ("days", "commits", "hardware")}
    return Effort(seconds=float(found["seconds"]), **lists)


def _written_at(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*first, *second}))
