"""Asking the scorer deployment by its Serve handle. Loads no torch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from serve_app.scoring.scores import Explanation, ScorerFailure, Scores

Answer = TypeVar("Answer")

_TOGETHER_S = 0.003  # answers of one pass come, and are asked again, within less


@dataclass(eq=False)
class _Waiting:
    text: str
    scores: asyncio.Future[Scores]


class ServeScorerClient:
    """Asks whichever replica of the scorer deployment is free.

    A text is sent at once while no other is being scored. Else those that come within a few
    milliseconds share a call: on two cores a call of its own for each costs as much processor
    time as a tenth of scoring it, and scorer and caller may have to share them.
    """

    def __init__(self, handle: DeploymentHandle, max_texts: int) -> None:
        """Take the deployment's handle.

        Args:
            handle: of the scorer deployment.
            max_texts: most texts of one call.
        """
        self._handle = handle
        self._max_texts = max_texts
        self._waiting: list[_Waiting] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def score(self, text: str) -> Scores:
        """Scores of a text; see :class:`ScorerClient`."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(text, loop.create_future())
        self._waiting.append(waiting)
        if not self._calls or len(self._waiting) >= self._max_texts:
            self._call()
        elif len(self._waiting) == 1:
            loop.call_later(_TOGETHER_S, self._call)
        return await waiting.scores

    async def explain(self, text: str, top_k: int) -> Explanation:
        """Scores of a text and their reasons; see :class:`ScorerClient`."""
        return await _answer(self._handle.explain.remote(text, top_k))

    def _call(self) -> None:
        together = [waiting for waiting in self._waiting if not waiting.scores.done()]
        self._waiting = []
        if not together:
            return
        call = asyncio.get_running_loop().create_task(self._ask(together))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

        def leave(_scores: asyncio.Future[Scores]) -> None:
            # Left alone they would be scored for nobody, and hold up others.
            if all(waiting.scores.done() for waiting in together):
                call.cancel()

        for waiting in together:
            waiting.scores.add_done_callback(leave)

    async def _ask(self, together: Sequence[_Waiting]) -> None:
        texts = [waiting.text for waiting in together]
        try:
            found: Sequence[Scores] = await _answer(self._handle.score.remote(texts))
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            for waiting in together:
                if not waiting.scores.done():
                    waiting.scores.set_exception(error)
            return
        for waiting, scores in zip(together, found, strict=True):
            if not waiting.scores.done():
                waiting.scores.set_result(scores)


async def _answer(response: DeploymentResponse[Answer]) -> Answer:
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except (RayError, RayServeException) as error:
        raise ScorerFailure(type(error).__name__) from None
