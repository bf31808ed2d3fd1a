"""``modelsat zoo``: look at a zoo file."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Check a zoo file.")


@app.callback()
def _group() -> None:
    """Check a zoo file."""


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Zoo file (YAML).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a zoo file and the model directories it names."""
    from modelsat.zoo import VllmCandidate, load_zoo

    zoo = load_zoo(file)
    for candidate in zoo.local:
        candidate.check_local_model()
    rows = [
        {
            "candidate": candidate.name,
            "engine": candidate.engine,
            "source": candidate.model_source
            if isinstance(candidate, VllmCandidate)
            else candidate.base_url,
            "context_window": candidate.context_window,
            "input_usd_per_mtok": candidate.price and candidate.price.input_usd_per_mtok,
            "output_usd_per_mtok": candidate.price and candidate.price.output_usd_per_mtok,
            "endpoints": ", ".join(candidate.endpoints),
            "tools": candidate.tools,
        }
        for candidate in zoo.candidates
    ]
    if as_json:
        print_json({"file": str(file), "candidates": rows})
        return
    print_table(rows)
    typer.echo(f"{file}: {len(rows)} candidates, no fault found")
