"""Measure the tests: ``python -m tests.benchmarks.tests --out PAGE`` runs ``make test`` twice.

Takes an hour on two cores. Exits with an error after the page is written if a limit is missed.
"""

from pathlib import Path
from typing import Annotated

import typer


def main(
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/tests.md"),
    runs: Annotated[int, typer.Option(min=1, help="How often the tests run.")] = 2,
    command: Annotated[str, typer.Option(help="What runs the tests.")] = "make test",
) -> None:
    """Measure, write the page, and fail if a limit is missed."""
    from modelsat.cli.app_errors import report_errors
    from tests.benchmarks.report.page import conclude
    from tests.benchmarks.tests.page import check_figures, write_page
    from tests.benchmarks.tests.runs import run_tests

    with report_errors():
        measured = [run_tests(command.split()) for _ in range(runs)]
        checks = check_figures(measured)
        write_page(measured, checks, out)
        conclude(checks, out, typer.echo)


if __name__ == "__main__":
    typer.run(main)
