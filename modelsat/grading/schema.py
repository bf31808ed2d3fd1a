"""JSON Schemas of strangers: no schema fetches another one."""

from typing import Any

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

_MAX_ERROR_CHARS = 200


def validator(schema: Any) -> Any:
    """Return jsonschema's validator of the draft that a schema names."""
    return jsonschema.validators.validator_for(schema)(schema, registry=Registry())


def first_error(schema: Any, document: Any) -> str | None:
    """Return the first error of a document against a schema, shortened; None if it fits."""
    try:
        first = next(iter(validator(schema).iter_errors(document)), None)
    except (ArithmeticError, RecursionError, Unresolvable) as error:
        return f"cannot be validated: {type(error).__name__}"
    return None if first is None else first.message[:_MAX_ERROR_CHARS]
