"""The HTTP application on a thread of this process: no Ray, scores made up, a fake upstream."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from modelsat.zoo.engines.openai import OpenAICandidate
from serve_app.api.app import build_api
from serve_app.api.services import Services
from serve_app.candidates.clients import CandidateClients
from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth
from serve_app.config import FallbackOptions, ServeConfig
from serve_app.contracts.zoo_state import ZooState
from tests.support.serve_app.small_zoo import FakeScorer, make_router, make_state, write_router
from tests.support.serve_app.tiny_artifacts import remote_entry

_NUM_CONNECTIONS = 100


@contextmanager
def served_in_process(
    folder: Path, names: Sequence[str], upstream_url: str, entry: Mapping[str, Any]
) -> Iterator[str]:
    """Serve candidates that are all behind one upstream.

    Args:
        folder: empty folder.
        names: candidates.
        upstream_url: ``base_url`` of every candidate.
        entry: more fields of every candidate.

    Yields:
        The origin of the server.
    """
    candidates = [OpenAICandidate(**remote_entry(n, upstream_url, **entry)) for n in names]
    state = make_state(write_router(folder), candidates)
    servers: list[uvicorn.Server] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        async def serve() -> None:
            clients = CandidateClients(_NUM_CONNECTIONS, FallbackOptions().connect_timeout_s)
            api = await _build(state, clients)
            servers.append(uvicorn.Server(uvicorn.Config(api, log_level="error")))
            await servers[0].serve(sockets=[listening])
            await clients.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for server in servers:
                server.should_exit = True
            thread.join()


async def _build(state: ZooState, clients: CandidateClients) -> FastAPI:
    """The application over parts that the ingress deployment joins too."""
    config = ServeConfig(zoo="unused", cards="unused", router="unused")
    health = CandidateHealth(config.fallback)
    health.keep(clients.follow(state.zoo))
    scores = {name: 1 / (2 + index) for index, name in enumerate(state.zoo.names)}
    router = await make_router(state, FakeScorer(scores))
    dispatcher = Dispatcher(clients, health, config.fallback)
    return build_api(Services(lambda: state, router, dispatcher, lambda: True), config)
