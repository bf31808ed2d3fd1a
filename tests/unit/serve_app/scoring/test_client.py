import asyncio

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.scoring.client import ServeScorerClient
from serve_app.scoring.scores import Explanation, ScorerFailure, Scores


class FakeHandle:
    """Answers like a handle: ``handle.score.remote(text)`` gives a response to be awaited."""

    def __init__(self, result):
        self.result = result
        self.score = self.explain = self
        self.is_cancelled = False

    def remote(self, *_arguments):
        return self

    def __await__(self):
        return self.answer().__await__()

    async def answer(self):
        if self.result is None:
            await asyncio.Event().wait()
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def cancel(self):
        self.is_cancelled = True


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


def test_what_is_no_longer_waited_for_is_cancelled():
    handle = FakeHandle(None)

    async def leave():
        async with asyncio.timeout(0.01):
            await ServeScorerClient(handle).score("text")

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    assert handle.is_cancelled
