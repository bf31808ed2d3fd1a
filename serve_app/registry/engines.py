"""Engines on this cluster as the zoo controller manages them: running, starting and stopping."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from modelsat.errors import ModelSatError, ZooError
from modelsat.zoo.candidate import Candidate

_COUNT_INTERVAL_S = 1.0

_log = logging.getLogger("ray.serve.modelsat")


class Applications(Protocol):
    """The part of Ray Serve that the controller uses: one application per local candidate."""

    async def deploy(self, candidates: Sequence[Candidate]) -> Mapping[str, ModelSatError]:
        """Start applications side by side and wait until they run.

        An application that already runs with the wanted settings is not touched; one that cannot
        start is deleted.

        Returns:
            Why a candidate cannot be served, by name; empty when all run.
        """

    async def delete(self, application: str) -> None:
        """Delete an application once its replicas have finished their requests."""

    async def replicas(self) -> Mapping[str, int]:
        """Return the number of replicas that take requests, by application of a candidate."""


class Engines:
    """The engines of one zoo."""

    def __init__(self, applications: Applications, announce: Callable[[], None]) -> None:
        """Take the applications, and a callback for changes of ``availability``."""
        self._applications = applications
        self._announce = announce
        self._retiring: set[str] = set()
        self._deleting: set[str] = set()
        self.problems: dict[str, str] = {}
        self.availability: dict[str, int] = {}

    @property
    def stopping(self) -> tuple[str, ...]:
        """Applications that are not needed any more and still exist."""
        return tuple(sorted(self._retiring | self._deleting))

    async def start_all(self, candidates: Sequence[Candidate]) -> tuple[str, ...]:
        """Start the missing engines; failures go to ``problems``.

        Returns:
            Applications that exist and belong to none of the candidates.
        """
        try:
            existing = await self._applications.replicas()
            failures = await self._applications.deploy(candidates)
            self.problems = {name: str(error) for name, error in failures.items()}
        except Exception as error:  # noqa: BLE001 - the other candidates are served all the same
            _log.exception("the engines cannot be started")
            self.problems = {c.name: " ".join(str(error).split())[:300] for c in candidates}
            return ()
        for name, problem in self.problems.items():
            _log.error("candidate %r is not served: %s", name, problem)
        extra = tuple(set(existing) - {c.application_name for c in candidates})
        self._retiring.update(extra)
        return extra

    async def start_for(
        self,
        before: Sequence[Candidate],
        after: Sequence[Candidate],
        named: str | None = None,
    ) -> tuple[str, ...]:
        """Start the engines that a changed zoo needs and the previous one did not.

        An engine that could not start earlier is tried again only when the change names its
        candidate; other changes neither wait for it nor fail because of it.

        Args:
            before: local candidates of the previous zoo.
            after: local candidates of the changed zoo.
            named: the candidate that the change is about.

        Returns:
            The applications that were started.

        Raises:
            ModelSatError: one cannot start; the others are stopped again.
        """
        retried = {named} & self.problems.keys()
        known = {c.application_name for c in before if c.name not in retried}
        new = [candidate for candidate in after if candidate.application_name not in known]
        if not new:
            return ()
        for candidate in new:
            if candidate.application_name in self._deleting:
                raise ZooError(
                    f"the previous engine of {candidate.name!r} is still finishing its last "
                    "requests; try again when it has stopped"
                )
        started = tuple(candidate.application_name for candidate in new)
        self._retiring.difference_update(started)
        try:
            failures = await self._applications.deploy(new)
        except BaseException:
            await self.abandon(started)
            raise
        for error in failures.values():
            await self.abandon([c.application_name for c in new if c.name not in failures])
            raise error
        for candidate in new:
            self.problems.pop(candidate.name, None)
        await self.count(after)  # so that requests can be routed to them at once
        return started

    def retire(self, before: Sequence[Candidate], after: Sequence[Candidate]) -> tuple[str, ...]:
        """Mark the engines that a changed zoo no longer needs; they run until :meth:`stop`."""
        kept = {candidate.application_name for candidate in after}
        removed = tuple(c.application_name for c in before if c.application_name not in kept)
        self._retiring.update(removed)
        for candidate in before:
            if candidate.application_name in removed:
                self.problems.pop(candidate.name, None)
        return removed

    async def abandon(self, applications: Sequence[str]) -> None:
        """Stop applications that were started for a change that failed."""
        self._retiring.update(applications)
        await self.stop(applications)

    async def stop(self, applications: Sequence[str]) -> None:
        """Stop the applications that are still not needed, side by side."""
        stopped = [name for name in applications if name in self._retiring]
        self._retiring.difference_update(stopped)
        self._deleting.update(stopped)
        results = await asyncio.gather(
            *map(self._applications.delete, stopped), return_exceptions=True
        )
        self._deleting.difference_update(stopped)
        for name, result in zip(stopped, results, strict=True):
            if isinstance(result, Exception):
                _log.warning("application %s cannot be deleted: %s", name, result)

    async def watch(self, candidates: Callable[[], Sequence[Candidate]]) -> None:
        """Keep ``availability`` up to date until the task is cancelled."""
        while True:
            await asyncio.sleep(_COUNT_INTERVAL_S)
            await self.count(candidates())

    async def count(self, candidates: Sequence[Candidate]) -> None:
        """Count replicas now; the last counts stay while Serve does not answer."""
        try:
            counts = await self._applications.replicas() if candidates else {}
        except Exception as error:  # noqa: BLE001 - the next second asks again
            _log.warning("replicas cannot be counted: %s", error)
            return
        found = {c.name: counts.get(c.application_name, 0) for c in candidates}
        if found != self.availability:
            self.availability = found
            self._announce()
