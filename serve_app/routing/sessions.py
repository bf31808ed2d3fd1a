"""Which candidate answers which conversation."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from serve_app.config import SessionOptions
from serve_app.routing.circuit import Circuit

_FAILURES_TO_LEAVE_ALONE = 3
_PAUSE_S = 5.0


class SessionStore:
    """Conversations and their candidates; one store serves all ingress replicas.

    It is memory only: after a restart of its process conversations are routed afresh.
    """

    def __init__(
        self, ttl_s: float, max_sessions: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember conversations.

        Args:
            ttl_s: how long after its last request one is remembered.
            max_sessions: most of them; the longest unused is forgotten first.
            clock: monotonic seconds.
        """
        self._ttl_s = ttl_s
        self._max_sessions = max_sessions
        self._clock = clock
        # The longest unused first, so that those that have expired stand in front.
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: str) -> str | None:
        """The candidate of a conversation, which counts as used by this."""
        candidate, expires_s = self._sessions.get(session_id, (None, 0.0))
        if candidate is None or expires_s <= self._clock():
            return None
        self.put(session_id, candidate)
        return candidate

    def put(self, session_id: str, candidate: str) -> None:
        """Remember the candidate of a conversation."""
        now = self._clock()
        self._sessions[session_id] = (candidate, now + self._ttl_s)
        self._sessions.move_to_end(session_id)
        while self._sessions:
            oldest, (_, expires_s) = next(iter(self._sessions.items()))
            if expires_s > now and len(self._sessions) <= self._max_sessions:
                return
            del self._sessions[oldest]


class Sessions(Protocol):
    """The store as routing sees it; neither method raises."""

    async def get(self, session_id: str) -> str | None:
        """The candidate of a conversation; None: none, or the store is out of reach."""

    def put(self, session_id: str, candidate: str) -> None:
        """Remember a candidate; does not wait until it is."""


class RemoteStore(Protocol):
    """The store's process, as :class:`registry.client.ControllerClient` reaches it."""

    async def session_candidate(self, session_id: str) -> str | None:
        """The candidate of a conversation; raises when out of reach."""

    async def keep_session(self, session_id: str, candidate: str) -> None:
        """Remember a candidate; raises when out of reach."""


class SessionClient:
    """The store in another process.

    A store that does not answer in time costs the request its conversation's candidate, never
    its answer. After three such in a row it is asked once in 5 s only.
    """

    def __init__(
        self,
        store: RemoteStore,
        options: SessionOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask a store, by a monotonic clock."""
        self._store = store
        self._timeout_s = options.timeout_s
        self._circuit = Circuit(_FAILURES_TO_LEAVE_ALONE, _PAUSE_S, clock)
        self._writes: set[asyncio.Task[None]] = set()

    async def get(self, session_id: str) -> str | None:
        """The candidate of a conversation; see :class:`Sessions`."""
        if not self._circuit.may_try():
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                held = await self._store.session_candidate(_short(session_id))
        except Exception:  # noqa: BLE001 - whatever happened to the store, the request goes on
            self._circuit.failed()
            return None
        self._circuit.succeeded()
        return held

    def put(self, session_id: str, candidate: str) -> None:
        """Remember a candidate; see :class:`Sessions`."""
        if self._circuit.is_open:
            return
        write = asyncio.create_task(self._write(_short(session_id), candidate))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)

    async def _write(self, session_id: str, candidate: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._store.keep_session(session_id, candidate)
        except Exception:  # noqa: BLE001 - as above
            self._circuit.failed()


def _short(session_id: str) -> str:
    """What stands for a session's name, so that the store is bounded and holds no names."""
    return sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
