"""One replica's copy of the zoo, up to date for the life of the replica."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from uuid import uuid4

from modelsat.errors import MachineError, ModelSatError
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.following import POLL_TIMEOUT_S, Followed, Report

_FIRST_PAUSE_S = 0.1
_LONGEST_POLL_PAUSE_S = 1.0  # a restarted controller is found within a second
_LONGEST_APPLY_PAUSE_S = 30.0
_MAX_PROBLEM_CHARS = 300

_log = logging.getLogger("ray.serve.modelsat")

OnChange = Callable[[ZooState], Awaitable[None] | None]
OnCount = Callable[[Mapping[str, int]], None]


class ZooFollower:
    """Follows the controller in the background and keeps the newest state that was applied.

    A state is applied once ``on_change`` has accepted it; the previous state stays until then, and
    while the controller is unavailable.
    """

    def __init__(
        self,
        controller: Followed,
        kind: str,
        on_change: OnChange,
        *,
        on_count: OnCount = lambda _availability: None,
        follower_id: str | None = None,
    ) -> None:
        """Follow a controller.

        Args:
            controller: the zoo controller.
            kind: kind of replica: ``ingress`` or ``scorer``.
            on_change: applies a state to the replica. If it fails, it is called again later.
            on_count: receives running replicas by candidate with every response of the controller.
            follower_id: id of this replica; random if not given.
        """
        self._controller = controller
        self._kind = kind
        self._on_change = on_change
        self._on_count = on_count
        self._id = follower_id or uuid4().hex[:12]
        self._received: ZooState | None = None
        self._applied: ZooState | None = None
        self._problem = ""
        self._availability: Mapping[str, int] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def state(self) -> ZooState:
        """The state that the replica has applied."""
        if self._applied is None:
            raise RuntimeError("the follower has not been started")
        return self._applied

    @property
    def availability(self) -> Mapping[str, int]:
        """Running replicas by candidate; a candidate that is not listed is available."""
        return self._availability

    async def start(self, timeout_s: float) -> ZooState:
        """Fetch and apply the first state, then follow in the background.

        Raises:
            MachineError: the controller sent no state in time.
            Exception: ``on_change`` failed for the first state.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._poll_until(lambda: self._received is not None)
        except TimeoutError:
            raise MachineError(
                f"the zoo controller did not answer within {timeout_s:g} s; see its log"
            ) from None
        assert self._received is not None
        await self._apply(self._received)
        self._tasks = [
            asyncio.create_task(self._poll_until(lambda: False)),
            asyncio.create_task(self._apply_news()),
        ]
        return self.state

    async def stop(self) -> None:
        """Stop following; the last state stays."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def _poll_until(self, done: Callable[[], bool]) -> None:
        pause_s = _FIRST_PAUSE_S
        while not done():
            try:
                update = await self._controller.follow(self._report(), POLL_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - the controller will be back
                _log.warning("the controller of the zoo does not answer: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_POLL_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            self._availability = update.availability
            self._on_count(update.availability)
            if update.state is not None:
                self._received = update.state
                self._news.set()

    async def _apply_news(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            self._news.clear()
            state = self._received
            if state is None or state is self._applied:
                await self._news.wait()
                pause_s = _FIRST_PAUSE_S
                continue
            try:
                await self._apply(state)
            except Exception as error:  # noqa: BLE001 - reported to the controller and retried
                self._problem = " ".join(str(error).split())[:_MAX_PROBLEM_CHARS]
                _log.error(
                    "version %d of the zoo cannot be applied: %s",
                    state.version,
                    self._problem,
                    exc_info=not isinstance(error, ModelSatError),
                )
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._news.wait()  # a newer version is applied at once
                pause_s = min(2 * pause_s, _LONGEST_APPLY_PAUSE_S)

    async def _apply(self, state: ZooState) -> None:
        result = self._on_change(state)
        if inspect.isawaitable(result):
            await result
        self._applied, self._problem = state, ""
        try:
            await self._controller.acknowledge(self._id, state.version)
        except Exception as error:  # noqa: BLE001 - the next poll reports it again
            _log.warning("the controller of the zoo does not answer: %s", error)

    def _report(self) -> Report:
        return Report(
            follower_id=self._id,
            kind=self._kind,
            known_version=self._received.version if self._received else 0,
            applied_version=self._applied.version if self._applied else 0,
            problem=self._problem,
            availability=self._availability,
        )
