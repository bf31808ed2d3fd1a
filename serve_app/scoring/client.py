"""Asking the scorer deployment by its Serve handle. Loads no torch."""

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.scoring.scores import Explanation, ScorerFailure, Scores


class ServeScorerClient:
    """Asks whichever replica of the scorer deployment is free."""

    def __init__(self, handle: DeploymentHandle) -> None:
        """Take the deployment's handle."""
        self._handle = handle

    async def score(self, text: str) -> Scores:
        """Scores of a text; see :class:`ScorerClient`."""
        try:
            scores: Scores = await self._handle.score.remote(text)
        except (RayError, RayServeException) as error:
            raise ScorerFailure(type(error).__name__) from None
        return scores

    async def explain(self, text: str, top_k: int) -> Explanation:
        """Scores of a text and their reasons; see :class:`ScorerClient`."""
        try:
            explanation: Explanation = await self._handle.explain.remote(text, top_k)
        except (RayError, RayServeException) as error:
            raise ScorerFailure(type(error).__name__) from None
        return explanation
