"""Commands of this application; importing them loads neither Ray nor an engine."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_Changes: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one value.")
]
_AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the report to stdout as JSON.")
]


def profile(
    config: Annotated[Path, typer.Option(help="YAML file of the run.")],
    set_: _Changes = None,
    as_json: _AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what is to be done, and start nothing.")
    ] = False,
) -> None:
    """Let every candidate of a zoo sit the aptitude test; write outcomes and capability cards."""
    from profiling.aptitude_test import print_plan, run_from_file

    run = print_plan if dry_run else run_from_file
    run(str(config), set_ or [], as_json=as_json)


def collect(
    config: Annotated[Path, typer.Option(help="YAML file of the collection.")],
    set_: _Changes = None,
    as_json: _AsJson = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the sample and its cost at most; ask nothing."),
    ] = False,
) -> None:
    """Let every candidate answer a sample of your own prompts; write questions and outcomes."""
    from profiling.collect import print_plan, run_from_file

    run = print_plan if dry_run else run_from_file
    run(str(config), set_ or [], as_json=as_json)
