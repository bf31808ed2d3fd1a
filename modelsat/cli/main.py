"""The console script ``modelsat``.

A command's module is imported when the command is used or help is requested, and its heavy
imports run inside the command, so help loads no torch, Ray or pyarrow. Applications add commands
through the entry-point group ``modelsat.commands``; the library imports none of them.
"""

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from modelsat import __version__
from modelsat.cli.app_errors import interrupt_on_sigterm, report_errors
from modelsat.errors import MachineError

ENTRY_POINT_GROUP = "modelsat.commands"

# Command name, and import path of its function or of its typer app of subcommands.
LIBRARY_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "cards": "modelsat.cli.cards:app",
        "diagnose": "modelsat.cli.diagnose:diagnose",
        "doctor": "modelsat.cli.doctor:doctor",
        "evaluate": "modelsat.cli.evaluate:evaluate",
        "grade": "modelsat.cli.grade:grade",
        "judge": "modelsat.cli.judge:judge",
        "outcomes": "modelsat.cli.outcomes:app",
        "prepare": "modelsat.cli.prepare:prepare",
        "quickstart": "modelsat.cli.quickstart:quickstart",
        "regrade": "modelsat.cli.grade:regrade",
        "route": "modelsat.cli.route:route",
        "tasks": "modelsat.cli.tasks:app",
    }
)


class CommandGroup(TyperGroup):
    """Library and application commands, each imported on first use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted(_sources())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, or None."""
        source = _sources().get(cmd_name)
        return None if source is None else _load(cmd_name, source)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve a command; a misspelt name gets a suggestion from all names."""
        self.commands = dict.fromkeys(self.list_commands(ctx), cast(Any, None))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; report user errors and Ctrl-C on one line."""
        with report_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"modelsat {__version__}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Model-SAT routes each request to the LLM most likely to answer it well."""


def main() -> None:
    """Entry point of the console script.

    SIGTERM ends every command as Ctrl-C does, children first; processes started in the background
    ignore Ctrl-C itself.
    """
    interrupt_on_sigterm()
    app()


def _sources() -> dict[str, str]:
    added = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return {**added, **LIBRARY_COMMANDS}


def _load(name: str, source: str) -> Any:
    module_name, _, attribute = source.partition(":")
    try:
        target = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        return _unavailable(name, error)
    command = get_command(target if isinstance(target, typer.Typer) else _single(target))
    command.name = name
    return command


def _single(function: Callable[..., Any]) -> typer.Typer:
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command()(function)
    return single


def _unavailable(name: str, error: ImportError) -> TyperCommand:
    reason = f"needs the package {error.name!r}" if error.name else str(error)

    def refuse() -> None:
        raise MachineError(
            f"the command {name!r} {reason}, which is not installed; run `make setup`, or "
            "install model-sat[all]"
        )

    return TyperCommand(
        name=name,
        callback=refuse,
        help=f"Not available: {reason}.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
