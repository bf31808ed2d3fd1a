"""The input and the result of routing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelsat.routing.constraints import UNCONSTRAINED, Constraints
from modelsat.zoo.candidate import Endpoint


@dataclass(frozen=True)
class Ranking:
    """Candidates in the order in which they are tried.

    Attributes:
        order: names, best first; never empty.
        reason: short machine-readable reason for the first choice.
        confidence: P(correct) of the first, 0..1; None if nothing was scored.
        scores: P(correct) of every candidate that was scored.
        excluded: why each other candidate was excluded, by name.
        session_candidate: candidate that answered the session before; None if none is remembered.
        zoo_version: version of the zoo that was ranked.
    """

    order: tuple[str, ...]
    reason: str
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    session_candidate: str | None = None
    zoo_version: int = 0


@dataclass(frozen=True)
class Requirements:
    """The abilities that a candidate needs to answer a request.

    Attributes:
        endpoint: OpenAI's endpoint.
        text: all text of the request, for counting tokens.
        max_new_tokens: most tokens of the answer; 0 if the request does not say.
        modalities: kinds of input in the request.
        tools: whether the request has tools.
    """

    endpoint: Endpoint
    text: str
    max_new_tokens: int = 0
    modalities: frozenset[str] = frozenset({"text"})
    tools: bool = False


@dataclass(frozen=True)
class RouteRequest:
    """A request that is to be routed.

    Attributes:
        text: the text that is scored.
        requirements: what a candidate must be able to do.
        constraints: what the caller accepts: the profile's, overridden by the request's own.
        permitted: patterns of the candidates that the API key may use; None: all.
        session_id: session of the request.
    """

    text: str
    requirements: Requirements
    constraints: Constraints = UNCONSTRAINED
    permitted: tuple[str, ...] | None = None
    session_id: str | None = None
