"""What a caller may ask of a routing decision; every request field is declared here, once.

Request parsing, the OpenAPI schema, command-line options and the reference table derive from
:class:`Constraints`. A new field is declared here and applied in
:mod:`modelsat.routing.admission` (who may be chosen) or :mod:`modelsat.routing.policy` (who is).
Torch-free.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from modelsat.config import FrozenConfig

MAX_COST = 1e9
MAX_ALLOWED_MODELS = 1024
MAX_WILDCARDS = 64  # each pattern is matched against every candidate
WILDCARDS = "*?["

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Cost = Annotated[float, Field(ge=0, le=MAX_COST, allow_inf_nan=False)]


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern is more than a plain name."""
    return any(sign in pattern for sign in WILDCARDS)


def _as_tuple(patterns: Any) -> Any:
    return tuple(patterns) if isinstance(patterns, list) else patterns


def _few_wildcards(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(has_wildcard, patterns)) > MAX_WILDCARDS:
        raise ValueError(f"at most {MAX_WILDCARDS} patterns may have wildcards")
    return patterns


Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(
        min_length=1,
        max_length=MAX_ALLOWED_MODELS,
        json_schema_extra={
            "contains": {"type": "string", "pattern": r"[*?\[]"},
            "minContains": 0,
            "maxContains": MAX_WILDCARDS,
        },
    ),
    BeforeValidator(_as_tuple),
    AfterValidator(_few_wildcards),
]


class Constraints(FrozenConfig):
    """What a caller accepts. A field that is None asks for nothing.

    ``models``, ``max_cost`` and a finite score decide which candidates are admitted; no choice
    breaks them. Among the admitted candidates, ``min_p`` and ``tolerance`` decide which scores are
    good enough, and the cheapest of those candidates is chosen. With neither, the best is chosen.

    With both, a score must satisfy both: at least ``min_p``, and within ``tolerance`` of the
    best. If even the best score is below ``min_p``, the best candidate is chosen whatever its
    cost: quality that is already short is not traded away.

    All limits are inclusive. ``models`` is case-sensitive. ``max_cost`` is in the unit of the costs
    (US dollars per million tokens at the endpoint), and a candidate of unknown cost does not
    satisfy it. ``tolerance`` is an absolute difference; 0 leaves only exact ties.
    """

    tolerance: Probability | None = Field(
        default=None,
        description="Choose the cheapest model whose P(correct) is at most this much below the "
        "best.",
    )
    min_p: Probability | None = Field(
        default=None,
        description="Choose the cheapest model whose P(correct) is at least this; the best model "
        "if none reaches it.",
    )
    max_cost: Cost | None = Field(
        default=None,
        description="Exclude models whose cost is higher or unknown (at the endpoint: blended "
        "price, US dollars per million tokens).",
    )
    models: Patterns | None = Field(
        default=None,
        description="Choose among these models only: names, or patterns with * ? [.",
    )

    @property
    def needs_costs(self) -> bool:
        """Whether a limit is set that has no meaning without costs."""
        return self.max_cost is not None or self.tolerance is not None


UNCONSTRAINED = Constraints()
FIELDS = tuple(Constraints.model_fields)


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
        raise ConstraintError(field, f"{field} must be {allowed_values(field)}") from None
    return {name: getattr(checked, name) for name in values}


@cache
def field_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of every field, null allowed, by name."""
    properties = Constraints.model_json_schema()["properties"]
    return {
        name: {"description": schema["description"], "anyOf": schema["anyOf"]}
        for name, schema in properties.items()
    }


@cache
def allowed_values(field: str) -> str:
    """The allowed values of a field in words, such as ``a number from 0 to 1``."""
    schema = field_schemas()[field]["anyOf"][0]
    if schema["type"] == "number":
        return f"a number from {schema['minimum']:g} to {schema['maximum']:g}"
    bounds = f"a list of {schema['minItems']} to {schema['maxItems']} non-empty strings"
    return f"{bounds}, at most {schema['maxContains']} of them with a wildcard"


def reference_rows() -> list[dict[str, str]]:
    """The rows of the reference table: field, allowed values, meaning."""
    return [
        {
            "field": name,
            "allowed": allowed_values(name),
            "meaning": field_schemas()[name]["description"],
        }
        for name in FIELDS
    ]
