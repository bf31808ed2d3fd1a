"""``modelsat doctor``: find missing or mismatched dependencies and say how to fix them."""

import typer

from modelsat.cli.output import AsJson, print_json


def doctor(as_json: AsJson = False) -> None:
    """Check Python, packages, processor, GPU, compiler, memory, Ray token and ports.

    Exits with code 1 if a required dependency is missing; with 0 if there are only warnings.
    """
    from modelsat.cli.machine_checks import Check, run_checks

    checks: list[Check] = []
    for check in run_checks():
        checks.append(check)
        if not as_json:
            typer.echo(f"{check.status:8}{check.name:14}{check.found}")
            if check.remedy:
                typer.echo(f"{'':22}fix: {check.remedy}")
    missing = [check.name for check in checks if check.status == "missing"]
    if as_json:
        print_json({"ok": not missing, "checks": [vars(check) for check in checks]})
    elif missing:
        typer.echo(f"missing: {', '.join(missing)}")
    if missing:
        raise typer.Exit(1)
