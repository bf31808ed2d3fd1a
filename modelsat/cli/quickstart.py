"""``modelsat quickstart``: the whole system on a generated zoo."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.judged import print_policies
from modelsat.cli.output import print_json


def quickstart(
    directory: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/quickstart"),
    cache: Annotated[Path, typer.Option(help="Folder of trained checkpoints.")] = Path(
        "runs/cache"
    ),
    seed: Annotated[int, typer.Option(help="Seeds questions, zoo and router.")] = 0,
    port: Annotated[int, typer.Option(help="Port of the endpoint.")] = 8000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Create a zoo, profile it, train and evaluate a router, serve it, and send requests."""
    from modelsat.demo.quickstart import run_quickstart

    result = run_quickstart(
        directory, cache, seed=seed, port=port, echo=lambda line: typer.echo(line, err=as_json)
    )
    if as_json:
        print_json(
            {
                "report": result.report,
                "checks": [vars(check) for check in result.checks],
                "routed": [vars(question) for question in result.routed],
            }
        )
        return
    typer.echo()
    print_policies(result.report)
    for routed in result.routed:
        typer.echo(f"\n  user: {routed.question}")
        answer = "" if routed.answer is None else f": {routed.answer}"
        typer.echo(f"  {routed.candidate} (P(correct) {routed.p_correct:.2f}){answer}")
    typer.echo(
        f"\nReport: {directory / 'reports' / 'router' / 'report.html'}\n"
        f"Keep serving: .venv/bin/modelsat serve --config {result.serve_config}"
    )
