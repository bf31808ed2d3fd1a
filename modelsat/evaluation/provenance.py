"""When, from what code and on what machine a page of figures was measured."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Provenance:
    """What stands at the head of a page of figures.

    Attributes:
        date: day of the measurement, UTC.
        commit: of the code; ``-dirty`` where it had changes.
        hardware: of the machine.
    """

    date: str
    commit: str
    hardware: str


def provenance() -> Provenance:
    """Those of this moment, of the working directory's repository and of this machine."""
    processor = platform.processor() or platform.machine()
    return Provenance(
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        hardware=f"{os.cpu_count()} CPU cores ({processor}), no GPU used",
    )


def _commit() -> str:
    process = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return process.stdout.strip() or "unknown"
