"""Asking the scorer deployment by its Serve handle. Loads no torch."""

import asyncio
from typing import TypeVar

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from serve_app.scoring.scores import Explanation, ScorerFailure, Scores

Answer = TypeVar("Answer")


class ServeScorerClient:
    """Asks whichever replica of the scorer deployment is free."""

    def __init__(self, handle: DeploymentHandle) -> None:
        """Take the deployment's handle."""
        self._handle = handle

    async def score(self, text: str) -> Scores:
        """Scores of a text; see :class:`ScorerClient`."""
        return await _answer(self._handle.score.remote(text))

    async def explain(self, text: str, top_k: int) -> Explanation:
        """Scores of a text and their reasons; see :class:`ScorerClient`."""
        return await _answer(self._handle.explain.remote(text, top_k))


async def _answer(response: DeploymentResponse[Answer]) -> Answer:
    try:
        return await response
    except asyncio.CancelledError:
        # Left alone it would be scored for nobody, and hold up others.
        response.cancel()
        raise
    except (RayError, RayServeException) as error:
        raise ScorerFailure(type(error).__name__) from None
