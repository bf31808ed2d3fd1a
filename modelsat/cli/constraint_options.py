"""Command-line options for routing constraints, derived from their declaration."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from modelsat.config import parse_config
from modelsat.routing.constraints import FIELDS, Constraints, field_schemas


def constraint_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each routing constraint.

    Args:
        command: a command with typer options; its parameter ``constraints`` receives a
            :class:`Constraints`.

    Returns:
        The command with ``--tolerance``, ``--min-p`` and so on in place of ``constraints``.
    """

    @wraps(command)
    def run(**values: Any) -> None:
        given = {name: _parsed(name, values.pop(name)) for name in FIELDS}
        command(**values, constraints=parse_config(Constraints, given, source="options"))

    signature = inspect.signature(command)
    others = [p for p in signature.parameters.values() if p.name != "constraints"]
    parameters = [*others, *map(_parameter, FIELDS)]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameter(name: str) -> inspect.Parameter:
    is_list = _is_list(name)
    help_text = field_schemas()[name]["description"] + (" As a,b*,c." if is_list else "")
    option = typer.Option(help=help_text)
    annotation = Annotated[str | None, option] if is_list else Annotated[float | None, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _parsed(name: str, value: Any) -> Any:
    return value.split(",") if value is not None and _is_list(name) else value


def _is_list(name: str) -> bool:
    return bool(field_schemas()[name]["anyOf"][0]["type"] == "array")
