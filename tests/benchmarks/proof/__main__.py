"""Run the proof: ``python -m tests.benchmarks.proof``.

The quickstart's claim on a zoo of eight candidates, for several seeds, with one candidate held out
of training. Takes hours; an interrupted run continues. Exits with an error after the page is
written if a limit is missed.
"""

from pathlib import Path
from typing import Annotated

import typer


def main(
    directory: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/proof"),
    cache: Annotated[Path, typer.Option(help="Folder of trained checkpoints.")] = Path(
        "runs/cache"
    ),
    page: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/proof.md"),
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Seed; repeatable.")] = None,
) -> None:
    """Measure routing, and routing to a candidate known by its card alone, on the demo zoo."""
    from modelsat.cli.app_errors import report_errors
    from tests.benchmarks.proof.proof import SEEDS, run_proof, write_page
    from tests.benchmarks.report.page import conclude

    with report_errors():
        results = run_proof(directory, cache, seeds=seeds or SEEDS, echo=typer.echo)
        checks = [check for result in results for check in result.checks]
        write_page(results, checks, page)
        conclude(checks, page, typer.echo)


if __name__ == "__main__":
    typer.run(main)
