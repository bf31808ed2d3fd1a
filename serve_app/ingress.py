"""The HTTP ingress: OpenAI's paths over a scorer and candidates. Loads no torch, no vLLM."""

import asyncio
import time

from fastapi import FastAPI
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from modelsat.errors import RoutingError
from modelsat.routing.policy import RoutingDecision, choose_best
from modelsat.zoo import load_zoo
from serve_app.api.app import build_api
from serve_app.candidates.local import CandidateClient
from serve_app.api.errors import overloaded


class Ingress:
    """Serve deployment that routes and relays chat completions."""

    def __init__(self, zoo: str, scorer: DeploymentHandle, scorer_timeout_s: float) -> None:
        """Read the zoo file and remember the scorer."""
        self._applications = {c.name: c.application_name for c in load_zoo(zoo).candidates}
        self._router = ScoreRouter(scorer, scorer_timeout_s)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The ASGI application of this replica; Serve calls this after the constructor."""
        return build_api(
            names=tuple(self._applications),
            router=self._router,
            candidates=CandidateClient(self._applications),
            created=int(time.time()),
        )


class ScoreRouter:
    """Decides by the scores of the scorer deployment."""

    def __init__(self, scorer: DeploymentHandle, timeout_s: float) -> None:
        """Take the scorer's handle and how long its answer may take."""
        self._scorer = scorer
        self._timeout_s = timeout_s

    async def decide(self, text: str) -> RoutingDecision:
        """Choose a candidate for a text.

        Raises:
            ApiError: 503: the scorer failed, took too long, or gave no usable score.
        """
        try:
            scores = await asyncio.wait_for(self._scorer.score.remote(text), self._timeout_s)
            return choose_best(scores)
        except TimeoutError:
            reason = f"took more than {self._timeout_s:g} s"
        except RoutingError:
            reason = "gave no usable score"
        except (RayError, RayServeException):
            reason = "failed"
        raise overloaded(
            f"the scorer {reason}, so 'auto' cannot choose a model; name a model or retry later",
            code="scorer_unavailable",
        )
