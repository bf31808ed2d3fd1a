"""The number of modules that one request passes through."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from serve_app.api.app import build_api
from serve_app.api.services import Services
from serve_app.candidates.clients import CandidateClients
from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth
from serve_app.config import ServeConfig
from serve_app.contracts.scores import Scores
from serve_app.scoring.client import ServeScorerClient
from tests.support.serve_app.small_zoo import candidate, make_router, make_state, write_router
from tests.support.upstream import running_upstream

ROOT = Path(__file__).parents[3]
MAX_MODULES = 15
# Records that pass between the modules, what their messages say, and the price list.
RECORDS = ("serve_app/contracts/", "modelsat/chats.py", "modelsat/zoo/")


class ScorerHandle:
    """A Serve handle whose replica gives every text the same scores."""

    def __init__(self, scores):
        self._scores = scores
        self.score = self

    async def remote(self, texts):
        return [self._scores for _ in texts]


def modules_of(call):
    """Return a coroutine, and the set of the project's modules whose functions it calls."""
    found = set()

    def note(frame, event, _argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT) and path.name != Path(__file__).name:
            found.add(path.relative_to(ROOT).as_posix())

    async def watched():
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            return await call
        finally:
            sys.setprofile(before)

    return watched(), found


@pytest.mark.usefixtures("loopback")
def test_one_auto_request_runs_through_few_modules(tmp_path):
    async def run(url):
        state = make_state(
            write_router(tmp_path),
            [candidate(name).model_copy(update={"base_url": url}) for name in "ab"],
        )
        config = ServeConfig(zoo="unused", cards="unused", router="unused")
        clients = CandidateClients(10, 5)
        health = CandidateHealth(config.fallback)
        clients.follow(state.zoo)
        scorer = ServeScorerClient(ScorerHandle(Scores(1, {"a": 0.9, "b": 0.5})), 4)
        services = Services(
            zoo=lambda: state,
            router=await make_router(state, scorer),
            dispatcher=Dispatcher(clients, health, config.fallback),
            ready=lambda: True,
        )
        transport = httpx.ASGITransport(build_api(services, config))
        body = {"model": "auto", "messages": [{"role": "user", "content": "Why?"}]}
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            await client.post("/v1/chat/completions", json=body)  # fills the caches
            body["messages"][0]["content"] = "And why else?"
            call, modules = modules_of(client.post("/v1/chat/completions", json=body))
            response = await call
        await clients.close()
        return response, modules

    with running_upstream() as upstream:
        response, modules = asyncio.run(run(upstream.url))
    assert (response.status_code, response.headers["x-modelsat-selected-model"]) == (200, "a")
    opened = sorted(
        path
        for path in modules
        if path.startswith(("serve_app/", "modelsat/")) and not path.startswith(RECORDS)
    )
    assert "serve_app/routing/auto_router.py" in opened
    assert len(opened) <= MAX_MODULES, "\n".join(opened)
