"""Who may answer a request at all, before anybody's score counts."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from serve_app.api.errors import ApiError
from serve_app.routing.ranking import RouteRequest
from serve_app.routing.table import Mask, ZooTable

# Why a candidate may not answer, as /v1/route shows it, and in words.
NOT_PERMITTED = "not_permitted"
ENDPOINT = "endpoint_not_answered"
MODALITY = "modality_not_read"
TOOLS = "tools_not_taken"
CONTEXT_WINDOW = "context_window_too_small"
NOT_IN_MODELS = "not_in_models"
UNKNOWN_COST = "cost_unknown"
ABOVE_MAX_COST = "above_max_cost"
_WORDS = {
    NOT_PERMITTED: "not permitted to this API key",
    ENDPOINT: "not answering this endpoint",
    MODALITY: "not reading this kind of input",
    TOOLS: "not taking tools",
    CONTEXT_WINDOW: "with too small a context window",
    NOT_IN_MODELS: "not matched by models",
    UNKNOWN_COST: "of unknown cost, which max_cost does not admit",
    ABOVE_MAX_COST: "above max_cost",
}
_BY_CHOICE = frozenset({NOT_IN_MODELS, UNKNOWN_COST, ABOVE_MAX_COST})


@dataclass(frozen=True, eq=False)
class Admission:
    """Which candidates may answer a request.

    Attributes:
        admitted_M: whether each may.
        unwanted_M: whether each could, and is left out by ``models`` or ``max_cost`` alone.
        excluded: why those that are not admitted may not, by name.
    """

    admitted_M: Mask
    unwanted_M: Mask
    excluded: dict[str, str]


async def count_prompt_tokens(table: ZooTable, request: RouteRequest) -> int:
    """Tokens of the prompt; an upper bound where that already fits everywhere.

    Most prompts are far smaller than every context window, and are not tokenized.
    """
    requirements = request.requirements
    bound = table.tokens.at_most(requirements.text)
    if bound + _num_answer_tokens(request) <= table.smallest_window:
        return bound
    return await table.tokens.estimate(requirements.text)


def admit(table: ZooTable, request: RouteRequest, prompt_tokens: int) -> Admission:
    """Filter the candidates; one excluded for several reasons has the first.

    Images count as no tokens: how many they are is the candidate's affair.

    Args:
        table: the zoo.
        request: what is asked.
        prompt_tokens: what :func:`count_prompt_tokens` gives.
    """
    requirements, constraints = request.requirements, request.constraints
    needed = prompt_tokens + _num_answer_tokens(request)
    filters: list[tuple[Mask, str]] = [
        (table.answering(requirements.endpoint), ENDPOINT),
        (table.reading(requirements.modalities), MODALITY),
        (table.windows_M >= needed, CONTEXT_WINDOW),
    ]
    if request.permitted is not None:
        filters.insert(0, (table.matching(request.permitted), NOT_PERMITTED))
    if requirements.tools:
        filters.append((table.taking_tools, TOOLS))
    if constraints.models is not None:
        filters.append((table.matching(constraints.models), NOT_IN_MODELS))
    if constraints.max_cost is not None:
        filters.append((np.isfinite(table.costs_M), UNKNOWN_COST))
        filters.append((table.costs_M <= constraints.max_cost, ABOVE_MAX_COST))
    admitted = np.ones(len(table.names), dtype=np.bool_)
    unwanted = np.zeros(len(table.names), dtype=np.bool_)
    excluded: dict[str, str] = {}
    for passes, reason in filters:
        fails = admitted & ~passes
        excluded.update((table.names[place], reason) for place in np.flatnonzero(fails).tolist())
        if reason in _BY_CHOICE:
            unwanted |= fails
        admitted = admitted & passes
    return Admission(admitted, unwanted, excluded)


def nobody_admitted(table: ZooTable, admission: Admission, prompt_tokens: int) -> ApiError:
    """The answer to a request that no candidate may answer: why, with counts.

    404, as other routers have it for "no model does this", but for OpenAI's 400 of a prompt that
    is too long.
    """
    counts = Counter(admission.excluded.values())
    if not counts:
        return ApiError(
            503,
            "no model can be chosen: none of this zoo has a card yet; name a model",
            code="no_candidate",
            retry_after_s=1,
        )
    why = ", ".join(f"{count} {_WORDS[reason]}" for reason, count in counts.items())
    advice, code, param = _advice(table, admission, prompt_tokens, frozenset(counts))
    message = f"none of {len(table.names)} models can answer this request: {why}; {advice}"
    status = 400 if code == "context_length_exceeded" else 404
    return ApiError(status, message, code=code, param=param)


def _advice(
    table: ZooTable, admission: Admission, prompt_tokens: int, reasons: frozenset[str]
) -> tuple[str, str, str | None]:
    """What to do, OpenAI's code, and the field to change."""
    if CONTEXT_WINDOW in reasons:
        too_small = [n for n, reason in admission.excluded.items() if reason == CONTEXT_WINDOW]
        largest = int(table.windows_M[table.mask_of(too_small)].max())
        advice = (
            f"the prompt is about {prompt_tokens} tokens and the largest of these windows is "
            f"{largest}; shorten the prompt or lower max_tokens"
        )
        return advice, "context_length_exceeded", "messages"
    if reasons & {UNKNOWN_COST, ABOVE_MAX_COST}:
        known = table.costs_M[np.isfinite(table.costs_M)]
        lowest = f"; known costs start at {known.min():g}" if len(known) else ""
        return f"raise max_cost{lowest}", "no_candidate", "max_cost"
    if NOT_IN_MODELS in reasons:
        return "see GET /v1/models for their names", "no_candidate", "models"
    return "change the request or name a model", "no_candidate", None


def _num_answer_tokens(request: RouteRequest) -> int:
    return max(1, request.requirements.max_new_tokens)
