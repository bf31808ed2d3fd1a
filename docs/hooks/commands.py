"""The reference page of commands, read from the console script and the Makefile."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from modelsat.cli.main import app
from serve_app.settings_reference import markdown_table

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def commands_page() -> str:
    """Return the page: every `modelsat` command with its options, then the targets of make."""
    root = get_command(app)
    context = type(root).context_class(root, info_name="modelsat")  # type: ignore[attr-defined]
    parts = [
        "# Commands",
        "`make setup` installs the console script as `.venv/bin/modelsat`. Every command answers "
        "`--help`. A user's mistake ends a command with one line and an "
        "[exit code](errors.md#exit-codes).",
        *_described(root, context),
        "## Make targets {#make}",
        markdown_table(("target", "what it does"), _targets()),
    ]
    return "\n\n".join(parts) + "\n"


def walk(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the subcommands of a command, each with its context, parents first."""
    if not hasattr(command, "list_commands"):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        child_context = type(child).context_class(child, info_name=name, parent=context)
        yield child, child_context
        yield from walk(child, child_context)


def _described(root: Any, context: Any) -> Iterator[str]:
    for command, inner in walk(root, context):
        path = inner.command_path
        level = "#" * len(path.split())
        yield f"{level} {path} {{#{path.replace(' ', '-')}}}"
        summary, _, details = (command.help or "").partition("\n")
        yield f"{summary}\n\n{' '.join(details.split())}".strip()
        rows = [_row(param, inner) for param in command.params if param.name != "help"]
        rows = [row for row in rows if "completion" not in row[0]]
        if rows:
            yield markdown_table(("option", "value", "default", "meaning"), rows)


def _row(param: Any, context: Any) -> tuple[str, str, str, str]:
    if param.param_type_name == "argument":
        name = f"`{(param.metavar or param.name).upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*param.opts, *param.secondary_opts))
    is_flag = getattr(param, "is_flag", False)
    value = "" if is_flag else f"`{param.metavar or param.display_type(context)}`"
    return name, value, _default(param, context), getattr(param, "help", None) or ""


def _default(param: Any, context: Any) -> str:
    if param.required:
        return "required"
    value = param.get_default(context)
    if getattr(param, "is_flag", False) or value in (None, (), []):
        return ""
    return f"`{value}`"


def _targets() -> list[tuple[str, ...]]:
    lines = re.findall(r"^([a-z-]+):.*## (.*)$", MAKEFILE.read_text(), re.MULTILINE)
    return [(f"`make {target}`", what) for target, what in lines]
