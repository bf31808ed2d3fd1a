"""Routing fields of a request body, checked as :class:`Constraints` declares them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from modelsat.routing.constraints import Constraints, field_schemas


class ConstraintError(Exception):
    """A request field has a value that is not allowed.

    Attributes:
        field: name of the field.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check decoded JSON values of some fields, without converting between types.

    Args:
        values: some of the fields by name; null is allowed.

    Returns:
        The same fields, checked, null ones included.

    Raises:
        ConstraintError: a value is refused. The message names the field and what is allowed, and
            does not repeat the value.
    """
    try:
        checked = Constraints.model_validate(values, strict=True)
    except ValidationError as error:
        field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise ConstraintError(field, f"{field} must be {_allowed_values(field)}") from None
    return {name: getattr(checked, name) for name in values}


@cache
def _allowed_values(field: str) -> str:
    """The allowed values of a field in words, such as ``a number from 0 to 1``."""
    schema = field_schemas()[field]["anyOf"][0]
    if schema["type"] == "number":
        return f"a number from {schema['minimum']:g} to {schema['maximum']:g}"
    bounds = f"a list of {schema['minItems']} to {schema['maxItems']} non-empty strings"
    return f"{bounds}, at most {schema['maxContains']} of them with a wildcard"
