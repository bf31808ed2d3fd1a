"""The command ``modelsat train``. Imports nothing heavy until it runs."""

import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.app_errors import interrupt_on_sigterm, report_errors

if TYPE_CHECKING:
    from train_jobs.config import TrainJobConfig


@report_errors()
def train(
    config: Annotated[Path, typer.Option("--config", help="YAML file of the training job.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder written by `modelsat prepare`, in place of the job's data."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a value: a.b=value; repeatable.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan/",
            "--dry-run/",
            help="Print parameters, memory and step time of the job, and exit.",
        ),
    ] = False,
    plan_candidates: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --plan: number of candidates, with 50 statements; reads no tables."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train a router on cards and outcomes, in two stages; resumes an interrupted run."""
    interrupt_on_sigterm()
    from modelsat.config import load_config
    from train_jobs.config import TrainJobConfig

    values = list(overrides or ())
    if data is not None:
        from modelsat.preparation.prepared import read_data_file

        values.insert(0, f"data={json.dumps(read_data_file(data))}")
    job = load_config(TrainJobConfig, config, values)
    if plan:
        _print_plan(job, plan_candidates, as_json)
        return
    # DeepSpeed (from its import on) and Ray's worker logs print to stdout, which is reserved for
    # the JSON document.
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        from train_jobs.job import train_router

        summary = train_router(job)
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


def _print_plan(job: "TrainJobConfig", candidates: int | None, as_json: bool) -> None:
    from train_jobs.plan import make_plan, plan_lines

    found = make_plan(job, candidates)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
        return
    for line in plan_lines(job, found):
        typer.echo(line)
