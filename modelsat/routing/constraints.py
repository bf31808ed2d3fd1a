"""What a caller may ask of a routing decision; every request field is declared here, once.

Request parsing, the OpenAPI schema and command-line options derive from :class:`Constraints`.
A new field is declared here and applied in :mod:`modelsat.routing.admission` (who may be chosen)
or :mod:`modelsat.routing.policy` (who is). Torch-free.
"""

from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

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


@cache
def field_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of every field, null allowed, by name."""
    properties = Constraints.model_json_schema()["properties"]
    return {
        name: {"description": schema["description"], "anyOf": schema["anyOf"]}
        for name, schema in properties.items()
    }
