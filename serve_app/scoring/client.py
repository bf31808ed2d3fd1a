"""Client of the scorer deployment, by its Serve handle. Loads no torch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from serve_app.contracts.scores import ExplainedScores, ScorerFailure, Scores

Answer = TypeVar("Answer")

_TOGETHER_S = 0.003  # results of one pass arrive, and trigger new calls, within less


@dataclass(eq=False)
class _PendingText:
    text: str
    scores: asyncio.Future[Scores]


class ServeScorerClient:
    """Calls a replica of the scorer deployment.

    A text is sent at once if no other is being scored. Otherwise texts that arrive within a few
    milliseconds share a call: on two cores, a call takes as much processor time as a tenth of
    scoring a text, and scorer and caller may share the cores.
    """

    def __init__(self, handle: DeploymentHandle, max_texts: int) -> None:
        """Create a client.

        Args:
            handle: handle of the scorer deployment.
            max_texts: most texts in a call.
        """
        self._handle = handle
        self._max_texts = max_texts
        self._waiting: list[_PendingText] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def score(self, text: str) -> Scores:
        """Return the scores of a text; see :class:`ScorerClient`."""
        loop = asyncio.get_running_loop()
        waiting = _PendingText(text, loop.create_future())
        self._waiting.append(waiting)
        if not self._calls or len(self._waiting) >= self._max_texts:
            self._call()
        elif len(self._waiting) == 1:
            loop.call_later(_TOGETHER_S, self._call)
        return await waiting.scores

    async def explain(self, text: str, top_k: int) -> ExplainedScores:
        """Return scores and statements of a text; see :class:`ScorerClient`."""
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
            # Nobody waits for these scores any more, and they would delay others.
            if all(waiting.scores.done() for waiting in together):
                call.cancel()

        for waiting in together:
            waiting.scores.add_done_callback(leave)

    async def _ask(self, together: Sequence[_PendingText]) -> None:
        texts = [waiting.text for waiting in together]
        try:
            found: Sequence[Scores] = await _answer(self._handle.score.remote(texts))
        except Exception as error:  # noqa: BLE001 - the callers raise it
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
