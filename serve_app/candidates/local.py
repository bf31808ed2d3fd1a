"""Sending a request to the application of a candidate."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.api.errors import ApiError, error_event, overloaded


@dataclass(frozen=True)
class Answer:
    """A candidate's answer, from its first part on.

    Attributes:
        status: HTTP status.
        parts: the body's parts; server-sent events of a stream, else one JSON document.
    """

    status: int
    parts: AsyncIterator[str]


class CandidateClient:
    """Holds one handle per candidate application, taken when it is first needed."""

    def __init__(self, applications: Mapping[str, str]) -> None:
        """Take the Serve application name of every candidate, by candidate name."""
        self._applications = dict(applications)
        self._handles: dict[str, DeploymentHandle] = {}

    async def open_chat(self, candidate: str, body: Mapping[str, Any]) -> Answer:
        """Send a chat completion request and wait for the first part of the answer.

        The request is cancelled on the candidate when the caller is cancelled or closes
        ``parts`` early.

        Raises:
            ApiError: 503: the candidate is not running, its queue is full, or it died.
        """
        handle = await self._handle(candidate)
        response = handle.answer_chat.remote(dict(body))
        try:
            status = int(await anext(response))
        except BackPressureError:
            raise overloaded(f"the queue of model {candidate!r} is full; retry later") from None
        except (RayError, RayServeException, StopAsyncIteration):
            raise overloaded(f"model {candidate!r} failed; retry later") from None
        except asyncio.CancelledError:
            response.cancel()
            raise
        return Answer(status, _relay(response, candidate))

    async def _handle(self, candidate: str) -> DeploymentHandle:
        if candidate not in self._handles:
            try:
                # Asks the Serve controller and blocks until it answers.
                handle = await asyncio.to_thread(
                    serve.get_app_handle, self._applications[candidate]
                )
            except RayServeException:
                raise overloaded(f"model {candidate!r} is not running; retry later") from None
            self._handles[candidate] = handle.options(stream=True)
        return self._handles[candidate]


async def _relay(response: AsyncIterator[str], candidate: str) -> AsyncIterator[str]:
    finished = False
    try:
        async for part in response:
            yield part
        finished = True
    except (RayError, RayServeException):
        finished = True
        error = ApiError(503, f"model {candidate!r} failed while it answered", code="model_failed")
        yield error_event(error)
    finally:
        if not finished:
            response.cancel()  # type: ignore[attr-defined]
