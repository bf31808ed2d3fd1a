"""Date, code and machine of a measurement."""

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime

from modelsat.processor import local_processor


@dataclass(frozen=True)
class Provenance:
    """When, with which code and on which machine figures were measured.

    Attributes:
        date: day of the measurement, UTC.
        commit: commit of the code; it ends in ``-dirty`` where files had changed since.
        hardware: cores, processor with its instruction sets, and GPU of the machine.
    """

    date: str
    commit: str
    hardware: str


def provenance(gpu: str | None = None) -> Provenance:
    """Return the provenance of a measurement made now, on this machine.

    Args:
        gpu: name of the GPU that the measurement uses; None if it uses no GPU.
    """
    cpu = local_processor()
    described = ", ".join((cpu.name, *cpu.instruction_sets))
    return Provenance(
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        hardware=f"{os.cpu_count()} CPU cores ({described}), {gpu or 'no GPU used'}",
    )


def _commit() -> str:
    process = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return process.stdout.strip() or "unknown"
