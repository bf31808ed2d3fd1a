"""Date, code and machine of a measurement."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """When, with which code and on which machine figures were measured.

    Attributes:
        date: day of the measurement, UTC.
        commit: commit of the code; it ends in ``-dirty`` where files had changed since.
        hardware: cores, processor and GPU of the machine.
    """

    date: str
    commit: str
    hardware: str


def provenance(gpu: str | None = None) -> Provenance:
    """Return the provenance of a measurement made now, on this machine.

    Args:
        gpu: name of the GPU that the measurement uses; None if it uses no GPU.
    """
    return Provenance(
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        hardware=f"{os.cpu_count()} CPU cores ({_processor()}), {gpu or 'no GPU used'}",
    )


def _processor() -> str:
    """Name of the processor: its model where Linux tells it, otherwise the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _commit() -> str:
    process = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return process.stdout.strip() or "unknown"
