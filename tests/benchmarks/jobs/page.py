"""Limits of the figures of the two jobs, and the page that shows both."""

from collections.abc import Sequence
from pathlib import Path

from modelsat.artifacts.store import write_text
from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most
from tests.benchmarks.jobs import aptitude, kills, training
from tests.benchmarks.jobs.measures import Figures
from tests.benchmarks.report.page import render_page
from tests.benchmarks.report.spread import spread_text

_URL_RATIO = 1.8
_PIPELINE_RATIO = 0.85
_TRAINING_RATIO = 0.9
_MOVED_APART = 1e-3


def check_figures(figures: Figures) -> list[LimitCheck]:
    """Check every limit, with the median of the rounds."""
    return [
        *_kill_checks(figures),
        at_least(
            "slow URL: rows/s of two replicas, relative to one",
            figures.url_ratio.median,
            _URL_RATIO,
            2,
        ),
        at_least(
            "random Llama: rows/s through the job, relative to its engine alone",
            figures.pipeline_ratio.median,
            _PIPELINE_RATIO,
            2,
        ),
        *_fault_checks(figures),
        *(
            at_most(f"{what}: distance of weights after 20 steps", distance, _MOVED_APART, 6)
            for what, distance in figures.moved_apart.items()
        ),
        at_least(
            "training tokens/s through Ray Train and DeepSpeed, relative to a bare loop",
            figures.training_ratio.median,
            _TRAINING_RATIO,
            2,
        ),
    ]


def _kill_checks(figures: Figures) -> list[LimitCheck]:
    checks = []
    for kill in figures.kills:
        checks.append(at_most(f"kill -9 of {kill.what}: rows asked twice", *_rows(kill), 0))
        checks.append(
            at_least(f"kill -9 of {kill.what}: same table (1 is yes)", kill.is_same, 1, 0)
        )
    return checks


def _rows(kill: kills.Kill) -> tuple[int, int]:
    return kill.repeated, kill.allowed


def _fault_checks(figures: Figures) -> list[LimitCheck]:
    faults = figures.faults
    assert faults is not None
    code_is_met = faults.exit_code == faults.expected_code
    bad_is_met = faults.num_failed == faults.num_bad
    failed_is_met = faults.failed == ("hanging", "unloadable")
    return [
        LimitCheck("faults: exit code", faults.exit_code, faults.expected_code, code_is_met, 0),
        LimitCheck("faults: bad rows counted", faults.num_failed, faults.num_bad, bad_is_met, 0),
        LimitCheck("faults: failed candidates counted", len(faults.failed), 2, failed_is_met, 0),
    ]


def write_page(figures: Figures, checks: Sequence[LimitCheck], page: Path, *, command: str) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.jobs",
        "jobs.md.j2",
        {"spread": spread_text},
        command=command,
        checks=checks,
        figures=figures,
        aptitude=aptitude,
        kills=kills,
        training=training,
    )
    write_text(page, text)
