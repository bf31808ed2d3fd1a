"""Pages of figures: Markdown rendered from a template, and what follows once it is written."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from modelsat.evaluation.limit_checks import LimitCheck, require
from tests.benchmarks.report.provenance import provenance

Echo = Callable[[str], None]
_SHARED_PACKAGE = "tests.benchmarks.report"


def render_page(
    package: str,
    template: str,
    filters: Mapping[str, Callable[..., str]],
    *,
    command: str,
    checks: Sequence[LimitCheck],
    gpu: str | None = None,
    **values: Any,
) -> str:
    """Return a Markdown page rendered from a template of a benchmark.

    The template may include ``head.md.j2`` (command and provenance) and ``limits.md.j2`` (table
    of limits), which all pages share.

    Args:
        package: package whose ``templates`` folder holds the template.
        template: file name.
        filters: additional filters of the template, by name.
        command: command that measured the figures.
        checks: limits and measured figures.
        gpu: name of the GPU that was used; None if none was.
        values: variables of the template; an undefined variable is an error.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(_SHARED_PACKAGE)]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= filters
    origin = vars(provenance(gpu))
    return environment.get_template(template).render(
        command=command, checks=checks, **values, **origin
    )


def conclude(checks: Sequence[LimitCheck], page: Path, echo: Echo) -> None:
    """Print every check and the path of the page, then fail if a limit is missed.

    Raises:
        QualityError: names every missed limit.
    """
    for check in checks:
        echo(check.line())
    echo(f"wrote {page}")
    require(checks)
