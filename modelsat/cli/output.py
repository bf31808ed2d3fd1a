"""Output of commands: a table for people, or a JSON document for machines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.errors import ConfigError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: Any) -> None:
    """Print a JSON document to stdout."""
    typer.echo(json.dumps(value, indent=2))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows in aligned columns under the first row's keys, without truncation."""
    if not rows:
        return
    header = list(rows[0])
    lines = [header, *([_format(row[key]) for key in header] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


def check_output(out: Path, *inputs: Path | None) -> None:
    """Check that a command does not write over what it reads.

    Raises:
        ConfigError: the output is one of the inputs, or a folder.
    """
    if out.is_dir():
        raise ConfigError(f"the output {out} is a folder; name a file")
    for path in inputs:
        if path is not None and path.resolve() == out.resolve():
            raise ConfigError(f"the output {out} is also an input; name another file")


def _format(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
