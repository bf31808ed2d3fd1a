"""Client of the zoo controller in other processes, over its Serve handle."""

import asyncio
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from modelsat.errors import MachineError, ModelSatError
from serve_app.registry.following import Report, Update

_ANSWER_TIMEOUT_S = 5.0  # for immediate responses, and on top of a stated wait


class ControllerClient:
    """Follower interface, session store and administration in one client.

    Every method raises MachineError if the controller does not answer, and relays the controller's
    own ModelSatError.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        """Take the handle of the controller's deployment."""
        self._handle = handle

    async def follow(self, report: Report, timeout_s: float) -> Update:
        """Wait for news of the zoo."""
        limit_s = timeout_s + _ANSWER_TIMEOUT_S
        return await self._ask("follow", report, timeout_s, timeout_s=limit_s)

    async def acknowledge(self, follower_id: str, version: int) -> None:
        """Report that a follower has applied a version."""
        await self._ask("acknowledge", follower_id, version)

    async def session_candidate(self, session_id: str) -> str | None:
        """Return the candidate of a session."""
        return await self._ask("session_candidate", session_id)

    async def keep_session(self, session_id: str, candidate: str) -> None:
        """Store the candidate of a session."""
        await self._ask("keep_session", session_id, candidate)

    async def describe(self) -> dict[str, Any]:
        """Return the zoo, its followers and the change in progress."""
        return await self._ask("describe")

    async def versions(self) -> list[dict[str, Any]]:
        """Return every stored version, newest first."""
        return await self._ask("versions")

    async def put_candidate(
        self, entry: object, card: object | None, force: bool
    ) -> dict[str, Any]:
        """Add or change a candidate; waits for its engine."""
        return await self._ask("put_candidate", entry, card, force, timeout_s=None)

    async def remove_candidate(self, name: str) -> dict[str, Any]:
        """Remove a candidate."""
        return await self._ask("remove_candidate", name, timeout_s=None)

    async def set_router(self, router: str) -> dict[str, Any]:
        """Score with another router directory."""
        return await self._ask("set_router", router, timeout_s=None)

    async def roll_back(self, version: int) -> dict[str, Any]:
        """Serve an earlier version again; waits for its engines."""
        return await self._ask("roll_back", version, timeout_s=None)

    async def _ask(
        self, method: str, *arguments: Any, timeout_s: float | None = _ANSWER_TIMEOUT_S
    ) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                return await getattr(self._handle, method).remote(*arguments)
        except RayTaskError as error:
            if isinstance(error.cause, ModelSatError):
                raise error.cause from None
            raise
        except (RayError, RayServeException, TimeoutError):
            raise MachineError(
                "the controller of the zoo does not answer; see its log, and try again"
            ) from None
