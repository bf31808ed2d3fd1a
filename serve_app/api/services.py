"""The parts of an ingress replica that the HTTP application calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelsat.zoo.candidate import Endpoint
from serve_app.api.admin import AdminBackend
from serve_app.api.keys import KeyRing
from serve_app.contracts.answers import Deadline, Dispatched
from serve_app.contracts.request_record import Observer
from serve_app.contracts.routing import Ranking, RouteRequest
from serve_app.contracts.zoo_state import ZooState


class RequestRouter(Protocol):
    """Orders candidates."""

    async def rank(self, request: RouteRequest) -> Ranking:
        """Return the order in which candidates are tried; ApiError if there are none."""

    def remember(self, session_id: str, ranking: Ranking, candidate: str) -> None:
        """Remember which candidate answered a session; returns at once."""

    async def explain(self, request: RouteRequest, top_k: int) -> dict[str, Any]:
        """Return the ranking and its reasons; raises ApiError."""


class RequestDispatcher(Protocol):
    """Sends a request to candidates in order until one answers."""

    async def send(
        self,
        ranking: Sequence[str],
        endpoint: Endpoint,
        body: dict[str, Any],
        *,
        stream: bool,
        deadline: Deadline,
    ) -> Dispatched:
        """Return the answer from its first part on; raises ApiError if no candidate answers."""


@dataclass(frozen=True)
class Services:
    """The parts behind one ingress replica.

    Attributes:
        zoo: the newest zoo that this replica follows.
        router: orders candidates for a request.
        dispatcher: sends requests to candidates.
        ready: whether requests can be answered now; sends nothing.
        observers: receive the record of each finished request.
        keys: the API keys; None: no key is required.
        admin: changes the zoo, for admin keys; None: no administration.
    """

    zoo: Callable[[], ZooState]
    router: RequestRouter
    dispatcher: RequestDispatcher
    ready: Callable[[], bool]
    observers: Sequence[Observer] = ()
    keys: KeyRing | None = None
    admin: AdminBackend | None = None
