"""A run of the aptitude test, timed from the first question that is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.config import load_config
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from tests.benchmarks import fresh_process

REPORT = "report.json"


@dataclass(frozen=True)
class TimedRun:
    """The run of one candidate.

    Attributes:
        row: its row of the report.
        answering_s: time from the first batch, when all replicas were ready, until the outcomes
            were written.
    """

    row: dict[str, Any]
    answering_s: float

    @property
    def rows_per_s(self) -> float:
        """Questions per second, without the time to start."""
        rate: float = self.row["num_questions"] / self.answering_s
        return rate


def write_run(
    folder: Path,
    candidates: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    **values: Any,
) -> Path:
    """Write a new folder with questions, zoo and configuration; return the configuration's path.

    Args:
        folder: the folder; outcomes are written to ``out`` in it.
        candidates: entries of the zoo file.
        rows: rows of the questions table.
        values: additional values of the configuration.
    """
    folder.mkdir(parents=True)
    write_table(QUESTIONS, rows, folder / "questions.parquet")
    zoo = {"version": 1, "candidates": list(candidates)}
    (folder / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "questions": [str(folder / "questions.parquet")],
        "output_dir": str(folder / "out"),
        **values,
    }
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def run_timed(config: Path, candidate: str) -> TimedRun:
    """Profile the one candidate of a configuration in a new process.

    Raises:
        RuntimeError: the candidate could not be profiled.
    """
    job = load_config(ProfileConfig, config)
    checkpoints = job.output_dir / "checkpoints" / candidate
    begun_s: list[float] = []

    def watch() -> None:
        """Note when the first batch was taken; its file is deleted at the end of the run."""
        if not begun_s:
            begun_s.extend(path.stat().st_mtime for path in checkpoints.glob("*/asked/*.json"))

    report = fresh_process.call(profile_zoo, job, watch=watch)
    if report["failures"]:
        raise RuntimeError(f"{config}: {report['failures']}")
    [row] = report["candidates"]
    ended_s = (job.output_dir / "outcomes" / f"{candidate}.parquet").stat().st_mtime
    return TimedRun(row, ended_s - min(begun_s))
