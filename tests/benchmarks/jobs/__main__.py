"""Measure the two jobs on this machine: ``python -m tests.benchmarks.jobs --out PAGE``.

Takes about 25 minutes on two cores, and needs them for itself. Exits with an error after the
page is written if a limit is missed.
"""

import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer


def main(
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/jobs.md"),
    rounds: Annotated[int, typer.Option(min=1, help="How often rates are measured.")] = 3,
    small: Annotated[
        bool, typer.Option("--small", help="A trial of some minutes; its figures say little.")
    ] = False,
) -> None:
    """Measure, write the page, and fail if a limit is missed."""
    from modelsat.cli.app_errors import report_errors
    from tests.benchmarks.jobs.measures import FULL, SMALL, Bench
    from tests.benchmarks.jobs.page import check_figures, write_page
    from tests.benchmarks.report.page import conclude

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that child processes are stopped
    with report_errors(), tempfile.TemporaryDirectory(prefix="jobs-benchmark-") as work:
        figures = Bench(Path(work), SMALL if small else FULL, typer.echo).run(rounds)
        checks = check_figures(figures)
        command = f"python -m tests.benchmarks.jobs --rounds {rounds}{' --small' if small else ''}"
        write_page(figures, checks, out, command=command)
        conclude(checks, out, typer.echo)


if __name__ == "__main__":
    typer.run(main)
