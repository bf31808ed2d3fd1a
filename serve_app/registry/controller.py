"""The zoo controller: the only object that changes the served zoo; every replica follows it.

A change is validated, its engines are started, and it is written to disk and published. When every
live replica has applied it, engines of removed candidates are stopped. Changes run one after the
other, and a change goes on when its caller disconnects.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

from modelsat.artifacts.hashing import directory_hash
from modelsat.artifacts.router_description import read_description
from modelsat.errors import ArtifactError
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry import changes
from serve_app.registry.card_checks import parse_card
from serve_app.registry.changes import Rules
from serve_app.registry.describe import describe_followers, describe_record, describe_state
from serve_app.registry.engines import Applications, Engines
from serve_app.registry.followers import Followers
from serve_app.registry.following import FORGOTTEN_AFTER_S, Report, Update
from serve_app.registry.store import VersionRecord, ZooStore

Task = Coroutine[Any, Any, Any]

_log = logging.getLogger("ray.serve.modelsat")


class SessionMap(Protocol):
    """Stores the candidate of each session, in this process."""

    def get(self, session_id: str) -> str | None:
        """Return the candidate of a session, if it is stored."""

    def put(self, session_id: str, candidate: str) -> None:
        """Store the candidate of a session."""


class ZooController:
    """Holds the current version of the zoo; for one event loop."""

    def __init__(
        self,
        store: ZooStore,
        current: tuple[ZooState, VersionRecord],
        applications: Applications,
        rules: Rules,
        sessions: SessionMap,
        *,
        agreement_timeout_s: float,
    ) -> None:
        """Take the parts; call :meth:`start` next.

        Args:
            store: versions on disk.
            current: the version to serve, from the store.
            applications: starts and stops engines of local candidates.
            rules: requirements of the configuration on the zoo.
            sessions: stores the candidate of each session.
            agreement_timeout_s: time limit for followers to apply a change, seconds.
        """
        self._store = store
        self._state, self._record = current
        self._rules = rules
        self._sessions = sessions
        self._agreement_timeout_s = agreement_timeout_s
        self._clock = asyncio.get_running_loop().time
        self._followers = Followers(self._clock)
        self._engines = Engines(applications, self._announce)
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()
        self._changing: str | None = None
        self._settled_at = self._clock() + FORGOTTEN_AFTER_S
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start missing engines and count replicas, in the background.

        Followers know from their first update which engines do not run yet.
        """
        await self._engines.count(self._state.zoo.local)
        self._spawn(self._exclusively("start the engines of the zoo", self._reconcile))
        self._spawn(self._engines.watch(lambda: self._state.zoo.local))

    async def stop(self) -> None:
        """End all background work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def follow(self, report: Report, timeout_s: float) -> Update:
        """Wait for news that the follower does not have.

        Args:
            report: the follower and its state.
            timeout_s: time limit; after it, an update without news is returned.
        """
        self._followers.heard(report)
        deadline = self._clock() + timeout_s
        while (
            self._state.version == report.known_version
            and self._engines.availability == report.availability
        ):
            news = self._news
            try:
                async with asyncio.timeout_at(deadline):
                    await news.wait()
            except TimeoutError:
                break
        known = self._state.version == report.known_version
        return Update(None if known else self._state, self._engines.availability)

    async def acknowledge(self, follower_id: str, version: int) -> None:
        """Note that a follower has applied a version."""
        self._followers.acknowledged(follower_id, version)

    async def put_candidate(
        self, entry: object, card: object | None, force: bool
    ) -> dict[str, Any]:
        """Add a candidate or change the one of that name.

        Args:
            entry: its entry of a zoo file.
            card: its card as ``modelsat cards show --json`` prints it; None keeps the one it has.
            force: accept a card whose accuracy moved implausibly.

        Returns:
            ``version``, ``change``, ``agreed`` and ``followers``.

        Raises:
            ModelSatError: it is refused or its engine cannot start; nothing has changed.
        """
        candidate = changes.parse_entry(entry)
        parsed = None if card is None else parse_card(card)
        candidate.check_source()

        async def compute() -> ZooState:
            return changes.put_candidate(
                self._state,
                candidate,
                parsed,
                tasks_hashes=await _tasks_hashes(self._state.router),
                rules=self._rules,
                force=force,
            )

        verb = "change" if candidate.name in self._state.zoo.names else "add"
        what = f"{verb} candidate {candidate.name!r}"
        return await self._change(what, compute, named=candidate.name)

    async def remove_candidate(self, name: str) -> dict[str, Any]:
        """Remove a candidate; if the result is agreed, no replica sends it another request.

        Raises:
            ModelSatError: it is refused; nothing has changed.
        """

        async def compute() -> ZooState:
            return changes.remove_candidate(self._state, name, rules=self._rules)

        return await self._change(f"remove candidate {name!r}", compute)

    async def set_router(self, router: str) -> dict[str, Any]:
        """Score with another router directory from now on.

        Raises:
            ModelSatError: it is not a router directory, or does not read the zoo's cards.
        """
        if not Path(router).is_absolute():
            raise ArtifactError(f"router {router!r} is a relative path; give an absolute path")

        async def compute() -> ZooState:
            hashes = await _tasks_hashes(router)
            return changes.set_router(self._state, router, tasks_hashes=hashes)

        return await self._change(f"router {router}", compute)

    async def roll_back(self, version: int) -> dict[str, Any]:
        """Serve an earlier version again, under a new number.

        Raises:
            ModelSatError: it is not stored, or the configuration does not allow it any more.
        """

        async def compute() -> ZooState:
            earlier = self._store.read(version)
            return changes.roll_back(
                self._state,
                earlier,
                tasks_hashes=await _tasks_hashes(earlier.router),
                rules=self._rules,
            )

        return await self._change(f"roll back to version {version}", compute)

    async def describe(self) -> dict[str, Any]:
        """Return the zoo, its followers and the change in progress, as JSON."""
        return {
            **describe_state(
                self._state, self._record, self._engines.availability, self._engines.problems
            ),
            **describe_followers(self._followers.live(), self._state.version),
            "changing": self._changing,
            "stopping": list(self._engines.stopping),
        }

    async def versions(self) -> list[dict[str, Any]]:
        """Return every stored version, newest first, as JSON."""
        return [describe_record(record) for record in self._store.records()]

    async def session_candidate(self, session_id: str) -> str | None:
        """Return the candidate of a session."""
        return self._sessions.get(session_id)

    async def keep_session(self, session_id: str, candidate: str) -> None:
        """Store the candidate of a session."""
        self._sessions.put(session_id, candidate)

    async def _change(
        self, what: str, compute: Callable[[], Awaitable[ZooState]], named: str | None = None
    ) -> dict[str, Any]:
        async def carry_out() -> dict[str, Any]:
            return await self._carry_out(what, await compute(), named)

        # Shielded: the change goes on when the caller disconnects.
        return await asyncio.shield(self._spawn(self._exclusively(what, carry_out)))

    async def _exclusively(self, what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        async with self._lock:
            self._changing = what
            try:
                return await work()
            finally:
                self._changing = None

    async def _carry_out(self, what: str, state: ZooState, named: str | None) -> dict[str, Any]:
        before = self._state
        router_hash = self._record.router_hash
        if state.router != before.router:
            router_hash = await asyncio.to_thread(directory_hash, state.router)
        started = await self._engines.start_for(before.zoo.local, state.zoo.local, named)
        try:
            record = self._store.write(
                state, change=what, router_hash=router_hash, seed=self._record.seed
            )
        except BaseException:
            await self._engines.abandon(started)
            raise
        # After a restart, wait until the earlier followers have reported again.
        await asyncio.sleep(self._settled_at - self._clock())
        self._state, self._record = state, record
        self._announce()
        removed = self._engines.retire(before.zoo.local, state.zoo.local)
        agreed = await self._agreement(state.version)
        self._spawn(self._stop_when_agreed(removed, state.version))
        _log.info("zoo version %d: %s%s", state.version, what, "" if agreed else " (not agreed)")
        return {
            **describe_record(record),
            **describe_followers(self._followers.live(), state.version),
        }

    async def _agreement(self, version: int) -> bool:
        try:
            async with asyncio.timeout(self._agreement_timeout_s):
                await self._followers.wait_for(version)
        except TimeoutError:
            return False
        return True

    async def _stop_when_agreed(self, applications: Sequence[str], version: int) -> None:
        await self._followers.wait_for(version)
        await self._engines.stop(applications)

    async def _reconcile(self) -> None:
        """Start missing engines; stop superfluous ones once every follower has the zoo."""
        extra = await self._engines.start_all(self._state.zoo.local)
        if extra:
            version = self._state.version

            async def settle() -> None:
                await asyncio.sleep(self._settled_at - self._clock())
                await self._stop_when_agreed(extra, version)

            self._spawn(settle())

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _spawn(self, work: Task) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("a change of the zoo failed: %s", task.exception())


async def _tasks_hashes(router: str) -> tuple[str, ...]:
    description = await asyncio.to_thread(read_description, router)
    return tuple(description["tasks_hashes"])
