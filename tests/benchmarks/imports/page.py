"""Limits of the figures of imports, and the page that shows both."""

from collections.abc import Sequence
from pathlib import Path

from modelsat.artifacts.store import write_text
from modelsat.evaluation.limit_checks import LimitCheck, at_most
from tests.benchmarks.imports.measures import ImportFigures
from tests.benchmarks.report.page import render_page

_MAX_PEAK_GIB = 1.0


def check_figures(figures: Sequence[ImportFigures]) -> list[LimitCheck]:
    """Check that every import keeps its limit of memory."""
    return [
        at_most(f"{one.name}: peak memory, GiB", one.peak_gib, _MAX_PEAK_GIB, 2) for one in figures
    ]


def write_page(figures: Sequence[ImportFigures], checks: Sequence[LimitCheck], page: Path) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.imports",
        "imports.md.j2",
        {},
        command="make benchmark-imports",
        checks=checks,
        figures=figures,
    )
    write_text(page, text)
