"""The console script ``modelsat``.

Each command's module is loaded when the command is named or help is asked for, and imports
what it needs when it runs: help answers without torch, Ray or pyarrow. Applications add
commands through the entry-point group ``modelsat.commands``; the library imports none of them.
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
from modelsat.cli.app_errors import report_errors
from modelsat.errors import MachineError

ENTRY_POINT_GROUP = "modelsat.commands"

# Name of a command and where its function, or its typer app of subcommands, lives.
LIBRARY_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "cards": "modelsat.cli.cards:app",
        "diagnose": "modelsat.cli.diagnose:diagnose",
        "doctor": "modelsat.cli.doctor:doctor",
        "evaluate": "modelsat.cli.evaluate:evaluate",
        "quality": "modelsat.cli.quality:app",
        "quickstart": "modelsat.cli.quickstart:quickstart",
        "route": "modelsat.cli.route:route",
        "tasks": "modelsat.cli.tasks:app",
        "zoo": "modelsat.cli.zoo:app",
    }
)


class CommandGroup(TyperGroup):
    """Library and application commands, each loaded when first looked at."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, sorted."""
        return sorted(_sources())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        source = _sources().get(cmd_name)
        return None if source is None else _load(cmd_name, source)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve, with the names known for the suggestion after a misspelt one."""
        self.commands = dict.fromkeys(self.list_commands(ctx), cast(Any, None))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a user's mistake or Ctrl-C ends it with one line."""
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Model-SAT routes each request to the LLM most likely to answer it well."""


def main() -> None:
    """Entry point of the console script."""
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
