"""Messages between the zoo controller and its followers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.contracts.zoo_state import ZooState

# A follower asks for news this often even when there is none.
POLL_TIMEOUT_S = 2.0
# A follower that is silent for this long counts as dead. Four polls, so that a replica without CPU
# time for some seconds does not; less than the 10 s that a change waits by default.
FORGOTTEN_AFTER_S = 8.0


@dataclass(frozen=True)
class Report:
    """A follower's request for news.

    Attributes:
        follower_id: id of the follower; different for every replica.
        kind: ``ingress`` or ``scorer``.
        known_version: newest version it has received; 0 before the first.
        applied_version: newest version it has applied; 0 before the first.
        problem: why it cannot apply the newest version it has received; empty if it can.
        availability: the running replicas that it knows of.
    """

    follower_id: str
    kind: str
    known_version: int = 0
    applied_version: int = 0
    problem: str = ""
    availability: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """The controller's response.

    Attributes:
        state: the zoo, if the follower does not know this version.
        availability: running replicas of local candidates by name. A candidate that is not
            listed is available.
    """

    state: ZooState | None
    availability: Mapping[str, int] = field(default_factory=dict)


class Followed(Protocol):
    """The controller, as followers see it."""

    async def follow(self, report: Report, timeout_s: float) -> Update:
        """Wait for news, with a time limit."""

    async def acknowledge(self, follower_id: str, version: int) -> None:
        """Report that a follower has applied a version."""
