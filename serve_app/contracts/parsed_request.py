"""A parsed request body, as far as routing needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelsat.chats import modalities
from modelsat.routing.constraints import Constraints
from modelsat.zoo.candidate import Endpoint

_MOST_TOKENS = 2**40  # beyond every context window, and within 64 bits
# Fields that limit the length of the answer; the first that is given counts.
ANSWER_LIMITS: Mapping[str, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
}


@dataclass(frozen=True)
class ParsedRequest:
    """A parsed request body.

    Attributes:
        endpoint: the OpenAI endpoint; for ``/v1/route``, the one that the body fits.
        body: the JSON object without the routing fields.
        model: the requested model name.
        stream: whether to stream the answer.
        routing_fields: the routing fields that were given, null ones included.
        explained: card statements to show per candidate, for ``/v1/route``.
    """

    endpoint: Endpoint
    body: dict[str, Any]
    model: str
    stream: bool = False
    routing_fields: Mapping[str, Any] = field(default_factory=dict)
    explained: int = 0

    def constraints(self, profile: Constraints) -> Constraints:
        """The profile's constraints, overridden by those of the request.

        A null removes the profile's constraint.
        """
        given = self.routing_fields
        return profile.model_copy(update=dict(given)) if given else profile

    @property
    def modalities(self) -> frozenset[str]:
        """Kinds of input in the request."""
        return modalities(self.body["messages"] if self.endpoint == "chat" else ())

    @property
    def max_new_tokens(self) -> int:
        """Most tokens of the answer, bounded; 0 if the request does not say."""
        limits = [self.body.get(name) for name in ANSWER_LIMITS.get(self.endpoint, ())]
        return int(min(next(filter(None, limits), 0), _MOST_TOKENS))

    @property
    def has_tools(self) -> bool:
        """Whether the request has tools."""
        return self.endpoint == "chat" and bool(self.body.get("tools"))
