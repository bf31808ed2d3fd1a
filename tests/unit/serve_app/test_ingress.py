import asyncio

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException

from serve_app.api.errors import ApiError
from serve_app.ingress import ScoreRouter


class FakeScorerHandle:
    """Answers like a handle: ``handle.score.remote(text)`` gives an awaitable."""

    def __init__(self, result):
        self.result = result
        self.score = self

    async def remote(self, _text):
        if isinstance(self.result, BaseException):
            raise self.result
        if callable(self.result):
            return await self.result()
        return self.result


def decide(result, timeout_s=5.0):
    return asyncio.run(ScoreRouter(FakeScorerHandle(result), timeout_s).decide("text"))


def test_the_best_score_decides():
    decision = decide({"a": 0.2, "b": 0.9, "c": float("nan")})
    assert (decision.candidate, decision.confidence) == ("b", 0.9)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"a": float("nan")}, "no usable score"),
        ({}, "no usable score"),
        (ActorDiedError(), "failed"),
        (RayServeException("gone"), "failed"),
        (TimeoutError(), "took more than"),
    ],
)
def test_a_failing_scorer_is_a_503_that_says_why(result, why):
    with pytest.raises(ApiError, match=why) as refused:
        decide(result)
    assert refused.value.status == 503
    assert refused.value.code == "scorer_unavailable"
    assert refused.value.headers == {"Retry-After": "1"}


def test_a_scorer_that_does_not_answer_is_given_up():
    with pytest.raises(ApiError, match=r"took more than 0\.05 s"):
        decide(lambda: asyncio.sleep(60), timeout_s=0.05)


def test_an_unavailable_deployment_is_a_failing_scorer():
    from ray.serve._private.common import DeploymentID

    with pytest.raises(ApiError, match="failed"):
        decide(DeploymentUnavailableError(DeploymentID("Scorer", "router")))
