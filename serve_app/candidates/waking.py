"""Starts candidates of this cluster that have no running replica."""

import asyncio
from collections.abc import Callable

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from modelsat.errors import ZooError
from modelsat.zoo.zoo_file import Zoo

# Longer than any start: the call that wakes a candidate waits for its first replica.
_LONGEST_START_S = 3600


class ServeWaker:
    """Wakes candidates that are scaled to zero: a waiting call makes Serve start a replica."""

    def __init__(self, zoo: Callable[[], Zoo]) -> None:
        """Take the zoo that is served now."""
        self._zoo = zoo
        self._calls: dict[str, asyncio.Task[None]] = {}

    def wake(self, candidate: str) -> None:
        """Start a candidate, unless it is being started already."""
        if candidate in self._calls:
            return
        call = asyncio.create_task(self._call(candidate))
        self._calls[candidate] = call
        call.add_done_callback(lambda _: self._calls.pop(candidate, None))

    async def _call(self, candidate: str) -> None:
        try:
            found = self._zoo().get(candidate)
            if not found.runs_on_cluster:
                return
            handle = await asyncio.to_thread(serve.get_app_handle, found.application_name)
            async with asyncio.timeout(_LONGEST_START_S):
                await handle.num_ongoing_requests.remote()
        except (ZooError, RayError, RayServeException, TimeoutError):
            return  # the next request tries again
