"""What goes into routing and what comes out: who is asked first, who next, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelsat.routing.policy import UNCONSTRAINED, Constraints
from modelsat.zoo.candidate import Endpoint


@dataclass(frozen=True)
class Ranking:
    """Candidates in the order in which they are asked.

    Attributes:
        order: names, best first; never empty.
        reason: short machine-readable reason of the first place.
        confidence: P(correct) of the first, 0..1; None where nothing was scored.
        scores: P(correct) of every candidate that was scored.
        excluded: why each candidate that may not answer was left out, by name.
        held: who answered the conversation before; None: nobody that is remembered.
        zoo_version: version of the zoo that was ranked.
    """

    order: tuple[str, ...]
    reason: str
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    held: str | None = None
    zoo_version: int = 0


@dataclass(frozen=True)
class Requirements:
    """What a request asks of whoever answers it.

    Attributes:
        endpoint: OpenAI's endpoint.
        text: all text of the request, for counting tokens.
        max_new_tokens: tokens of the answer that the request asks for; 0 where it does not say.
        modalities: kinds of input it brings.
        tools: whether it brings tools.
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
        text: what is scored.
        requirements: what the candidate must be able to do.
        constraints: what the caller accepts: the profile's, overridden by the request's own.
        permitted: patterns of the candidates that the caller's key may use; None: all.
        session_id: conversation it belongs to.
    """

    text: str
    requirements: Requirements
    constraints: Constraints = UNCONSTRAINED
    permitted: tuple[str, ...] | None = None
    session_id: str | None = None
