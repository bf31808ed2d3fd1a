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
