"""``modelsat quality``: routers on real outcomes of real LLMs."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train and judge routers on real outcomes.")

Preset = Annotated[Path, typer.Option(help="Training job (YAML); its data and paths are replaced.")]
LITE = Path("train_jobs/configs/lite.yaml")


@app.callback()
def _describe() -> None:
    """Train and judge routers on real outcomes."""


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder with questions.parquet, outcomes.parquet.")],
    out: Annotated[Path, typer.Option(help="Router directory to write.")],
    preset: Preset = LITE,
) -> None:
    """Train a router on all that its sources answered in a folder; resumable.

    These are MMLU, MMLU-Pro, RouteLLM's pair on GSM8K, and FastEval's zoo on BBH, GSM8K and MATH,
    as far as the folder holds them; what is left out is said.
    """
    from modelsat.quality.router import train_on_everything

    train_on_everything(data, out, preset, typer.echo)
    typer.echo(f"router in {out}; its aptitude tests are in {out / 'tasks'}")


@app.command()
def benchmark(
    data: Annotated[Path, typer.Option(help="Folder with questions.parquet, outcomes.parquet.")],
    work: Annotated[Path, typer.Option(help="Folder of all that is made.")] = Path("runs/quality"),
    page: Annotated[Path, typer.Option(help="Page to write; its plots lie beside it.")] = Path(
        "docs/benchmarks/quality.md"
    ),
    preset: Preset = LITE,
    zoos: Annotated[
        Path | None, typer.Option(help="Zoo set-ups (YAML) instead of those of the package.")
    ] = None,
) -> None:
    """Measure routers against every baseline in five folds; resumable, hours.

    A missed limit is an error, after the page is written.
    """
    from modelsat.evaluation.checks import require
    from modelsat.quality.benchmark import run_benchmark
    from modelsat.quality.limits import check_benchmark
    from modelsat.quality.page import write_page

    results = run_benchmark(data, work, preset, zoos, typer.echo)
    checks = check_benchmark(results)
    write_page(results, checks, page, preset=preset)
    for check in checks:
        typer.echo(check.line())
    typer.echo(f"written to {page}")
    require(checks)
