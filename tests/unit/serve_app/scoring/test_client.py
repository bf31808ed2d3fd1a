import asyncio

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.contracts.scores import ExplainedScores, ScorerFailure, Scores
from serve_app.scoring.client import ServeScorerClient


class FakeHandle:
    """Answers like a handle: ``handle.score.remote(texts)`` gives a response to be awaited."""

    def __init__(self, result=None):
        self.result = result
        self.score = self.explain = self
        self.calls = []
        self.answered = asyncio.Event()
        self.num_cancelled = 0

    def remote(self, *arguments):
        self.calls.append(arguments)
        return FakeResponse(self, arguments)


class FakeResponse:
    def __init__(self, handle, arguments):
        self.handle, self.arguments = handle, arguments

    def __await__(self):
        return self.answer().__await__()

    async def answer(self):
        if self.handle.result is None:
            await self.handle.answered.wait()
            return [Scores(1, {"a": float(text)}) for text in self.arguments[0]]
        if isinstance(self.handle.result, BaseException):
            raise self.handle.result
        return self.handle.result

    def cancel(self):
        self.handle.num_cancelled += 1


def client_of(handle):
    return ServeScorerClient(handle, max_texts=3)


def test_the_answer_is_passed_on():
    scores, explanation = Scores(1, {"a": 0.5}), ExplainedScores(1, {"a": 0.5})
    assert asyncio.run(client_of(FakeHandle([scores])).score("text")) == scores
    assert asyncio.run(client_of(FakeHandle(explanation)).explain("text", 3)) == explanation


def test_the_first_text_goes_at_once_and_those_that_come_meanwhile_share_calls():
    async def scenario():
        handle = FakeHandle()
        client = client_of(handle)
        asked = [asyncio.create_task(client.score(str(number))) for number in range(6)]
        while len(handle.calls) < 3:
            await asyncio.sleep(0)
        handle.answered.set()
        return handle.calls, [scores.by_candidate["a"] for scores in await asyncio.gather(*asked)]

    calls, answers = asyncio.run(scenario())
    assert calls == [(["0"],), (["1", "2", "3"],), (["4", "5"],)]
    assert answers == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        RayTaskError("score", "traceback", ValueError("no")),
        DeploymentUnavailableError("Scorer"),
        BackPressureError(num_queued_requests=1, max_queued_requests=1),
    ],
)
def test_every_fault_of_the_replica_is_a_failure(error):
    client = client_of(FakeHandle(error))
    with pytest.raises(ScorerFailure):
        asyncio.run(client.score("text"))
    with pytest.raises(ScorerFailure):
        asyncio.run(client.explain("text", 3))


def test_an_unexpected_error_is_not_a_failure_of_the_scorer():
    with pytest.raises(TypeError):
        asyncio.run(client_of(FakeHandle(TypeError("no"))).score("text"))


def test_only_a_call_without_waiting_callers_is_cancelled():
    async def scenario():
        handle = FakeHandle()
        client = client_of(handle)
        alone = asyncio.create_task(client.score("0"))
        await asyncio.sleep(0)
        leaves, stays = (asyncio.create_task(client.score(text)) for text in ("1", "2"))
        while len(handle.calls) < 2:
            await asyncio.sleep(0)
        for task in (alone, leaves):
            task.cancel()
        while not handle.num_cancelled:
            await asyncio.sleep(0)
        handle.answered.set()
        return (await stays).by_candidate, handle.num_cancelled

    assert asyncio.run(scenario()) == ({"a": 2.0}, 1)
