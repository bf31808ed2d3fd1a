"""An aptitude test run by its public command, timed from the first question that is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_json, write_table
from tests.support.profiling.killable import starting_runs

REPORT = "report.json"


@dataclass(frozen=True)
class TimedRun:
    """One candidate's run.

    Attributes:
        row: its row of the report.
        answering_s: from the first batch that its replicas, all of them ready, took until its
            outcomes were written.
    """

    row: dict[str, Any]
    answering_s: float

    @property
    def rows_per_s(self) -> float:
        """Questions per second, start apart."""
        rate: float = self.row["num_questions"] / self.answering_s
        return rate


def write_run(
    folder: Path,
    candidates: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    **values: Any,
) -> Path:
    """A new folder with questions, zoo and configuration; returns the configuration's path.

    Args:
        folder: outcomes go to ``out`` in it.
        candidates: entries of the zoo file.
        rows: of the questions table.
        values: further values of the configuration.
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
    """Run a configuration of one candidate to its end."""
    out = config.parent / "out"
    begun_s: list[float] = []

    def has_begun() -> bool:
        for path in (out / "checkpoints" / candidate).glob("*/asked/*.json"):
            begun_s.append(path.stat().st_mtime)
        return bool(begun_s)

    with starting_runs() as start:
        run = start(config, out / "checkpoints" / candidate)
        run.wait_until(has_begun)
        said = run.end()
    if run.process.returncode:
        raise RuntimeError(f"{config} ended with {run.process.returncode}: {said[-2000:]}")
    [row] = read_json(out / REPORT)["candidates"]
    ended_s = (out / "outcomes" / f"{candidate}.parquet").stat().st_mtime
    return TimedRun(row, ended_s - min(begun_s))
