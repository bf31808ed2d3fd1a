"""Time and peak memory of one import, in a process of its own."""

import time
from dataclasses import dataclass
from pathlib import Path

from modelsat.evaluation_logs.alignment import Source, write_outcomes
from modelsat.evaluation_logs.answer import LeftOut
from modelsat.evaluation_logs.readers import open_reader
from tests.benchmarks.fresh_process import call
from tests.benchmarks.imports.logs import Log


@dataclass(frozen=True)
class ImportFigures:
    """What one import took.

    Attributes:
        name: name of the log.
        log_gib: size of the log, GiB.
        num_questions: questions that came out.
        num_outcomes: outcomes that came out.
        wall_s: seconds.
        peak_gib: most resident memory of the process, GiB.
    """

    name: str
    log_gib: float
    num_questions: int
    num_outcomes: int
    wall_s: float
    peak_gib: float

    @property
    def rows_per_s(self) -> float:
        """Answers imported in a second."""
        return self.num_outcomes / self.wall_s


def measure_import(log: Log, num_rows: int, folder: Path) -> ImportFigures:
    """Write a log, import it in a process of its own, and check what came out.

    Raises:
        RuntimeError: the import failed or lost a row.
    """
    log.write(num_rows, folder / "log")
    size = sum(file.stat().st_size for file in (folder / "log").rglob("*") if file.is_file())
    num_questions, num_outcomes, wall_s, peak = call(_import, log, folder)
    if num_outcomes != num_rows:
        raise RuntimeError(f"{log.name}: {num_outcomes} of {num_rows} answers came out")
    gib = 2**30
    return ImportFigures(log.name, size / gib, num_questions, num_outcomes, wall_s, peak / gib)


def _import(log: Log, folder: Path) -> tuple[int, int, float, int]:
    """Return the numbers of questions and outcomes, seconds, and peak memory in bytes."""
    start_s = time.monotonic()
    left_out = LeftOut()
    answers = open_reader(log.log_format, log.columns)([folder / "log"], left_out)
    source = Source(log.log_format, "imported", "", None)
    found = write_outcomes(answers, source, folder / "out", left_out, known=None)
    wall_s = time.monotonic() - start_s
    return found.num_questions, found.num_outcomes, wall_s, _peak_bytes()


def _peak_bytes() -> int:
    """Most resident memory of this process; ``ru_maxrss`` would count that of its parent's fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [peak_kib] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(peak_kib)
