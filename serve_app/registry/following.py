"""What passes between the controller of the zoo and those who follow it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.contracts.zoo_state import ZooState

# A follower asks for news this often even when there is none.
POLL_TIMEOUT_S = 2.0
# After this much silence a follower is taken for dead. Four polls: a replica that starves on a
# busy machine for some seconds is not; still less than the 10 s that a change waits by default.
FORGOTTEN_AFTER_S = 8.0


@dataclass(frozen=True)
class Report:
    """What a follower says when it asks for news.

    Attributes:
        follower_id: who asks; different for every replica.
        kind: what it is: ``ingress`` or ``scorer``.
        known_version: newest version it has received; 0 before the first.
        applied_version: newest version it works by; 0 before the first.
        problem: why it cannot work by the newest version it has received; empty if it can.
        availability: what it last heard of running replicas.
    """

    follower_id: str
    kind: str
    known_version: int = 0
    applied_version: int = 0
    problem: str = ""
    availability: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """What the controller answers.

    Attributes:
        state: the zoo, if the follower does not know this version.
        availability: running replicas of local candidates by name. Whoever is not listed is
            available.
    """

    state: ZooState | None
    availability: Mapping[str, int] = field(default_factory=dict)


class Followed(Protocol):
    """The controller, as followers see it."""

    async def follow(self, report: Report, timeout_s: float) -> Update:
        """Wait for news, at most so long."""

    async def acknowledge(self, follower_id: str, version: int) -> None:
        """State that a follower works by a version now."""
