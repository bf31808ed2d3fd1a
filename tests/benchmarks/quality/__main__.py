"""Measure routers on real outcomes: ``python -m tests.benchmarks.quality --data FOLDER``.

Trains routers in five folds and compares them with every baseline. Takes hours; an interrupted run
continues. Exits with an error after the page is written if a limit is missed.
"""

from pathlib import Path
from typing import Annotated

import typer


def main(
    data: Annotated[Path, typer.Option(help="Folder with questions.parquet, outcomes.parquet.")],
    work: Annotated[Path, typer.Option(help="Folder of routers and predictions.")] = Path(
        "runs/quality"
    ),
    page: Annotated[
        Path, typer.Option(help="Page to write; its plots go to a folder beside it.")
    ] = Path("docs/benchmarks/quality.md"),
    preset: Annotated[
        Path, typer.Option(help="Training job (YAML); its data and paths are replaced.")
    ] = Path("train_jobs/configs/lite.yaml"),
    recipe: Annotated[str, typer.Option(help="Recipe of `modelsat prepare`.")] = "mmlu",
    zoos: Annotated[Path | None, typer.Option(help="Other zoo set-ups (YAML).")] = None,
) -> None:
    """Train, judge, write the page, and fail if a limit is missed."""
    from modelsat.cli.app_errors import report_errors
    from modelsat.evaluation.baselines.tuning import LEARNERS
    from modelsat.preparation.recipe import load_recipe
    from tests.benchmarks.quality.benchmark import run_benchmark
    from tests.benchmarks.quality.limits import check_benchmark
    from tests.benchmarks.quality.page import write_page
    from tests.benchmarks.quality.zoos import load_zoos
    from tests.benchmarks.report.page import conclude
    from train_jobs.job import train_router

    with report_errors():
        results = run_benchmark(
            load_recipe(recipe),
            data,
            work,
            preset,
            load_zoos(zoos),
            learners=LEARNERS,
            train_router=train_router,
            echo=typer.echo,
        )
        checks = check_benchmark(results)
        write_page(results, checks, page, preset=preset)
        conclude(checks, page, typer.echo)


if __name__ == "__main__":
    typer.run(main)
