"""The command ``modelsat train``. Imports nothing heavy until it runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.app_errors import report_errors


@report_errors()
def train(
    config: Annotated[Path, typer.Option("--config", help="YAML file of the training job.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: a.b=value; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train a router on cards and outcomes, in two stages; continues where it stopped."""
    from modelsat.config import load_config
    from train_jobs.config import TrainJobConfig
    from train_jobs.train_router import train_router

    summary = train_router(load_config(TrainJobConfig, config, overrides or ()))
    last = summary.history[-1]
    if as_json:
        document = {
            "router_dir": str(summary.router_dir),
            "was_done": summary.was_done,
            "history": list(summary.history),
        }
        typer.echo(json.dumps(document, indent=2))
        return
    state = "up to date" if summary.was_done else "trained"
    typer.echo(
        f"router {summary.router_dir} {state}: validation loss {last['validation_loss']:.4f}, "
        f"AUC {last['validation_auc'] or 0:.4f}"
    )


def main() -> None:
    """Entry point of ``python -m train_jobs.train_router``."""
    typer.run(train)
