"""Limits of the comparison of forms, and the page that shows both."""

from collections.abc import Sequence
from pathlib import Path

from modelsat.artifacts.store import write_text
from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most
from tests.benchmarks.forms.measures import ModelFigures
from tests.benchmarks.report.page import render_page

_MAX_STANDARD_ERRORS = 2.0  # 95 % of differences of forms of equal difficulty are smaller


def check_figures(figures: Sequence[ModelFigures]) -> list[LimitCheck]:
    """Check that the forms are equally hard, and that their levels, if any, get harder.

    The correlation of tasks has no limit: at the floor or with few questions it is noise.
    """
    checks = []
    for one in figures:
        apart = abs(one.difference) / one.standard_error if one.standard_error else 0.0
        checks.append(
            at_most(f"{one.name}: forms apart, standard errors", apart, _MAX_STANDARD_ERRORS)
        )
        if not one.forms[0].by_level_L.size:
            continue
        first, last = (sum(f.by_level_L[level] for f in one.forms) / 2 for level in (0, -1))
        what = f"{one.name}: first level above the last, points"
        checks.append(at_least(what, 100 * (first - last), 0.0))
    return checks


def write_page(
    general: Sequence[ModelFigures],
    demo: Sequence[ModelFigures],
    forms: tuple[int, int],
    shots: int,
    checks: Sequence[LimitCheck],
    page: Path,
) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.forms",
        "forms.md.j2",
        {},
        command="make benchmark-forms",
        checks=checks,
        general=general,
        demo=demo,
        forms=forms,
        shots=shots,
    )
    write_text(page, text)
