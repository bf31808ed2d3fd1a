"""Metrics of scorer replicas and of the session store."""

from typing import Protocol

from serve_app.observe import instruments as named
from serve_app.observe.instruments import Instruments, RayInstruments


class ScorerMetrics:
    """Counts the passes of a scorer replica; one object of this class per process."""

    def __init__(self, instruments: Instruments | None = None) -> None:
        """Create the instruments; Ray's by default."""
        makers = instruments or RayInstruments()
        self._batch = makers.make(named.SCORER_BATCH)
        self._duration = makers.make(named.SCORER_DURATION)

    def scored(self, num_prompts: int, duration_s: float) -> None:
        """Record a pass."""
        self._batch.record(num_prompts, {})
        self._duration.record(duration_s, {})


class SizedSessions(Protocol):
    """A session store, such as :class:`serve_app.routing.sessions.SessionStore`."""

    def __len__(self) -> int:
        """Number of sessions."""

    def get(self, session_id: str) -> str | None:
        """Return the candidate of a session."""

    def put(self, session_id: str, candidate: str) -> None:
        """Remember the candidate of a session."""


class MeasuredSessions:
    """A session store that records its size whenever it changes."""

    def __init__(self, store: SizedSessions, instruments: Instruments | None = None) -> None:
        """Measure a store; one object of this class per process."""
        self._store = store
        self._size = (instruments or RayInstruments()).make(named.SESSIONS)

    def get(self, session_id: str) -> str | None:
        """Return the candidate of a session."""
        return self._store.get(session_id)

    def put(self, session_id: str, candidate: str) -> None:
        """Remember the candidate of a session."""
        self._store.put(session_id, candidate)
        self._size.record(len(self._store), {})
