"""What the HTTP side is built over; each part can be faked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelsat.zoo.candidate import Endpoint
from serve_app.api.admin import AdminBackend
from serve_app.api.keys import KeyRing
from serve_app.candidates.answer import Deadline
from serve_app.candidates.dispatch import Dispatched
from serve_app.observe.record import Observer
from serve_app.registry.state import ZooState
from serve_app.routing.ranking import Ranking, RouteRequest


class Router(Protocol):
    """Puts candidates in order."""

    async def rank(self, request: RouteRequest) -> Ranking:
        """The candidates that may answer, best first; raises ApiError where there are none."""

    def keep(self, session_id: str, ranking: Ranking, candidate: str) -> None:
        """Remember who answered a conversation; does not wait until it is."""

    async def explain(self, request: RouteRequest, top_k: int) -> dict[str, Any]:
        """The ranking and what led to it; raises ApiError."""


class Dispatcher(Protocol):
    """Sends a request to the first candidate of a ranking that answers."""

    async def send(
        self,
        ranking: Sequence[str],
        endpoint: Endpoint,
        body: dict[str, Any],
        *,
        stream: bool,
        deadline: Deadline,
    ) -> Dispatched:
        """The answer, from its first part on; raises ApiError where nobody answers."""


@dataclass(frozen=True)
class Services:
    """The parts behind one ingress replica.

    Attributes:
        zoo: the newest zoo that this replica follows.
        router: orders candidates by the scores of a text.
        dispatcher: asks candidates in that order.
        ready: whether requests can be answered now; asks no candidate.
        observers: told of each finished request.
        keys: who may ask; None: anybody.
        admin: what changes the zoo, for admin keys; None: nobody may.
    """

    zoo: Callable[[], ZooState]
    router: Router
    dispatcher: Dispatcher
    ready: Callable[[], bool]
    observers: Sequence[Observer] = ()
    keys: KeyRing | None = None
    admin: AdminBackend | None = None
