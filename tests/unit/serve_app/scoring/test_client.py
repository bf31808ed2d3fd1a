import asyncio

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.scoring.client import ServeScorerClient
from serve_app.scoring.scores import Explanation, ScorerFailure, Scores


class FakeHandle:
    """Answers like a handle: ``handle.score.remote(text)`` gives an awaitable."""

    def __init__(self, result):
        self.result = result
        self.score = self.explain = self

    async def remote(self, *_arguments):
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def test_the_answer_is_passed_on():
    scores, explanation = Scores(1, {"a": 0.5}), Explanation(1, {"a": 0.5})
    assert asyncio.run(ServeScorerClient(FakeHandle(scores)).score("text")) == scores
    assert asyncio.run(ServeScorerClient(FakeHandle(explanation)).explain("text", 3)) == explanation


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        RayTaskError("score", "traceback", ValueError("no")),
        DeploymentUnavailableError("Scorer"),
        BackPressureError(num_queued_requests=1, max_queued_requests=1),
    ],
)
def test_whatever_becomes_of_the_replica_is_a_failure(error):
    client = ServeScorerClient(FakeHandle(error))
    with pytest.raises(ScorerFailure):
        asyncio.run(client.score("text"))
    with pytest.raises(ScorerFailure):
        asyncio.run(client.explain("text", 3))


def test_a_defect_of_ours_is_no_failure_of_the_scorer():
    with pytest.raises(TypeError):
        asyncio.run(ServeScorerClient(FakeHandle(TypeError("no"))).score("text"))
