"""The candidate of each session."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from serve_app.config import SessionOptions
from serve_app.routing.score_source import CircuitBreaker

_FAILURES_TO_OPEN = 3
_PAUSE_S = 5.0


class SessionStore:
    """Candidates by session, in memory; one store serves all ingress replicas.

    After a restart of its process, sessions are routed like new ones.
    """

    def __init__(
        self, ttl_s: float, max_sessions: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create an empty store.

        Args:
            ttl_s: how long after its last request a session is remembered.
            max_sessions: limit; the least recently used session is dropped first.
            clock: monotonic seconds.
        """
        self._ttl_s = ttl_s
        self._max_sessions = max_sessions
        self._clock = clock
        # Least recently used first, so expired sessions are at the front.
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: str) -> str | None:
        """Return the candidate of a session, and count the session as used."""
        candidate, expires_s = self._sessions.get(session_id, (None, 0.0))
        if candidate is None or expires_s <= self._clock():
            return None
        self.put(session_id, candidate)
        return candidate

    def put(self, session_id: str, candidate: str) -> None:
        """Remember the candidate of a session."""
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
        """Return the candidate of a session; None if there is none or the store is down."""

    def put(self, session_id: str, candidate: str) -> None:
        """Remember a candidate; returns at once."""


class RemoteStore(Protocol):
    """The process of the store, as :class:`registry.client.ControllerClient` reaches it."""

    async def session_candidate(self, session_id: str) -> str | None:
        """Return the candidate of a session; raises if the store is down."""

    async def keep_session(self, session_id: str, candidate: str) -> None:
        """Remember a candidate; raises if the store is down."""


class SessionClient:
    """Client of the store in another process.

    If the store does not answer in time, the request is routed without its session. After three
    such failures in a row, the store is called once every 5 s only.
    """

    def __init__(
        self,
        store: RemoteStore,
        options: SessionOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use a store; ``clock`` gives monotonic seconds."""
        self._store = store
        self._timeout_s = options.timeout_s
        self._breaker = CircuitBreaker(_FAILURES_TO_OPEN, _PAUSE_S, clock)
        self._writes: set[asyncio.Task[None]] = set()

    async def get(self, session_id: str) -> str | None:
        """Return the candidate of a session; see :class:`Sessions`."""
        if not self._breaker.may_try():
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                candidate = await self._store.session_candidate(_short(session_id))
        except Exception:  # noqa: BLE001 - whatever happens to the store, the request goes on
            self._breaker.failed()
            return None
        self._breaker.succeeded()
        return candidate

    def put(self, session_id: str, candidate: str) -> None:
        """Remember a candidate; see :class:`Sessions`."""
        if self._breaker.is_open:
            return
        write = asyncio.create_task(self._write(_short(session_id), candidate))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)

    async def _write(self, session_id: str, candidate: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._store.keep_session(session_id, candidate)
        except Exception:  # noqa: BLE001 - as above
            self._breaker.failed()


def _short(session_id: str) -> str:
    """A hash of the session id, so that the store is bounded and holds no client text."""
    return sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
