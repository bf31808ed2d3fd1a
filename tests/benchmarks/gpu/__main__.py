"""Measure training and scoring on one GPU: ``python -m tests.benchmarks.gpu --out PAGE``.

Takes some 5 minutes, a GPU of 80 GB, 110 GB of host memory, and needs no weights: base and encoder
are random, of the published shapes. Exits with an error after the page is written if a limit is
missed.
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer


def main(
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/gpu.md"),
) -> None:
    """Measure, write the page, and fail if a limit is missed."""
    os.environ.setdefault("DS_ACCELERATOR", "cuda")
    from modelsat.cli.app_errors import report_errors
    from tests.benchmarks.gpu.page import check_figures, write_page
    from tests.benchmarks.gpu.scoring import measure_decisions
    from tests.benchmarks.gpu.training import measure_memory, measure_weights
    from tests.benchmarks.report.page import conclude

    with report_errors(), tempfile.TemporaryDirectory(prefix="gpu-benchmark-") as work:
        folder = Path(work)
        typer.echo("decisions")
        decisions = measure_decisions()
        typer.echo("weights")
        weights = measure_weights(folder / "weights")
        typer.echo("memory")
        memory = measure_memory(folder, typer.echo)
        checks = check_figures(memory, weights)
        write_page(memory, weights, decisions, checks, out)
        conclude(checks, out, typer.echo)


if __name__ == "__main__":
    typer.run(main)
