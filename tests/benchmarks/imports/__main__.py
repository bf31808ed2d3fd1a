"""Measure the import of a million answers: ``python -m tests.benchmarks.imports --out PAGE``.

Takes some 5 minutes and 2 GB of disk. Exits with an error after the page is written if a limit is
missed.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.app_errors import report_errors
from tests.benchmarks.imports.logs import LOGS
from tests.benchmarks.imports.measures import measure_import
from tests.benchmarks.imports.page import check_figures, write_page
from tests.benchmarks.report.page import conclude


def main(
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/imports.md"),
    num_rows: Annotated[int, typer.Option(min=1000, help="Answers of each log.")] = 1_000_000,
) -> None:
    """Measure, write the page, and fail if a limit is missed."""
    with report_errors(), tempfile.TemporaryDirectory(prefix="import-benchmark-") as work:
        figures = []
        for log in LOGS:
            typer.echo(log.name)
            figures.append(measure_import(log, num_rows, Path(work) / log.log_format))
        checks = check_figures(figures)
        write_page(figures, checks, out)
        conclude(checks, out, typer.echo)


if __name__ == "__main__":
    typer.run(main)
