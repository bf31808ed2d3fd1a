"""The controller's list of followers and the zoo version that each has applied."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from serve_app.registry.following import FORGOTTEN_AFTER_S, Report


@dataclass(frozen=True)
class FollowerState:
    """Last known state of one follower.

    Attributes:
        follower_id: its id.
        kind: ``ingress`` or ``scorer``.
        version: newest version that it has applied; 0 for none.
        problem: why it cannot apply a newer version; empty if it can.
    """

    follower_id: str
    kind: str
    version: int
    problem: str

    @property
    def label(self) -> str:
        """Name shown to administrators."""
        return f"{self.kind}/{self.follower_id}"


class Followers:
    """Followers with a report within the last ``FORGOTTEN_AFTER_S`` seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a monotonic clock, in seconds."""
        self._clock = clock
        self._seen: dict[str, tuple[FollowerState, float]] = {}
        self._changed = asyncio.Event()

    def heard(self, report: Report) -> None:
        """Note a follower's report."""
        known, _ = self._seen.get(report.follower_id, (None, 0.0))
        # A report may have been sent before an acknowledgement that arrived first.
        version = max(report.applied_version, known.version if known else 0)
        self._note(FollowerState(report.follower_id, report.kind, version, report.problem))

    def acknowledged(self, follower_id: str, version: int) -> None:
        """Note that a follower has applied a version; an unknown follower reports it later."""
        if follower_id in self._seen:
            known, _ = self._seen[follower_id]
            self._note(FollowerState(follower_id, known.kind, max(version, known.version), ""))

    def live(self) -> tuple[FollowerState, ...]:
        """Return the followers that are alive, in the order of their first reports."""
        now = self._clock()
        self._seen = {
            key: (follower, seen_at)
            for key, (follower, seen_at) in self._seen.items()
            if now - seen_at <= FORGOTTEN_AFTER_S
        }
        return tuple(follower for follower, _ in self._seen.values())

    def behind(self, version: int) -> tuple[FollowerState, ...]:
        """Return the live followers that have not applied that version or a newer one."""
        return tuple(follower for follower in self.live() if follower.version < version)

    async def wait_for(self, version: int) -> None:
        """Wait until no live follower is behind; a follower that falls silent is dropped."""
        while self.behind(version):
            self._changed.clear()
            # Silence causes no event, so check again after a while.
            wake = asyncio.get_running_loop().call_later(0.5, self._changed.set)
            try:
                await self._changed.wait()
            finally:
                wake.cancel()

    def _note(self, follower: FollowerState) -> None:
        self._seen[follower.follower_id] = (follower, self._clock())
        self._changed.set()
