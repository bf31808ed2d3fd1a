"""The limit of the tests' time, and the page that shows their figures."""

from collections.abc import Sequence
from pathlib import Path

from modelsat.artifacts.store import write_text
from modelsat.evaluation.limit_checks import LimitCheck, at_most
from tests.benchmarks.report.page import render_page
from tests.benchmarks.tests.runs import TestRun
from tests.benchmarks.tests.started import TITLES

MAX_MINUTES = 30


def check_figures(runs: Sequence[TestRun]) -> list[LimitCheck]:
    """Check the time of each run."""
    return [
        at_most(f"`make test`, run {number}: minutes", run.minutes, MAX_MINUTES, 1)
        for number, run in enumerate(runs, start=1)
    ]


def write_page(runs: Sequence[TestRun], checks: Sequence[LimitCheck], page: Path) -> None:
    """Write the page atomically; the slowest files come first."""
    files = sorted(
        runs[0].seconds_by_file, key=lambda file: -max(r.seconds_by_file[file] for r in runs)
    )
    text = render_page(
        "tests.benchmarks.tests",
        "tests.md.j2",
        {},
        command="make benchmark-tests",
        checks=checks,
        runs=runs,
        files=files,
        kinds=tuple(TITLES),
    )
    write_text(page, text)
