"""Measure serving on this machine: ``python -m tests.benchmarks.serving --out PAGE``.

Takes about 12 minutes on two cores, and needs them for itself. The first run installs LiteLLM from
the package index. Exits with an error after the page is written if a limit is missed.
"""

import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer


def main(
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/serving.md"),
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured.")] = 3,
) -> None:
    """Measure, write the page, and fail if a limit is missed."""
    from modelsat.cli.app_errors import report_errors
    from tests.benchmarks.report.page import conclude
    from tests.benchmarks.serving.measures import Bench
    from tests.benchmarks.serving.page import check_figures, write_page
    from tests.benchmarks.serving.processes import install_litellm

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that child processes are stopped
    with report_errors(), tempfile.TemporaryDirectory(prefix="serving-benchmark-") as work:
        version = install_litellm()
        figures = Bench(Path(work), typer.echo).run(rounds)
        checks = check_figures(figures)
        command = f"python -m tests.benchmarks.serving --rounds {rounds}"
        write_page(figures, checks, out, command=command, litellm_version=version)
        conclude(checks, out, typer.echo)


if __name__ == "__main__":
    typer.run(main)
