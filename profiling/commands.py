"""The command ``modelsat profile``; importing it loads neither Ray nor an engine."""

from pathlib import Path
from typing import Annotated

import typer


def profile(
    config: Annotated[Path, typer.Option(help="YAML file of the run.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one value.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report to stdout as JSON.")
    ] = False,
) -> None:
    """Let every candidate of a zoo sit the aptitude test; write outcomes and capability cards."""
    from profiling.aptitude_test import run_from_file

    run_from_file(str(config), set_ or [], as_json=as_json)
