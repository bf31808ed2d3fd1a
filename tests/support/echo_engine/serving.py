"""What would be ``serve_app/candidates/engines/echo.py``."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from modelsat.zoo.candidate import Candidate, Endpoint
from serve_app.candidates.engines.protocol import EngineClient, ServingEngine
from serve_app.candidates.rewriting import Rewriter
from serve_app.contracts.answers import Answer, Document
from tests.support.echo_engine.candidate import EchoCandidate


class Engine(ServingEngine):
    """Answers in the process of the ingress."""

    def __init__(self, candidate: EchoCandidate) -> None:
        self._candidate = candidate

    def open_client(self, pool: aiohttp.ClientSession) -> "EchoClient":
        """Return a client; it needs no connection."""
        return EchoClient(self._candidate)

    def can_become(self, changed: Candidate) -> bool:
        """Return whether the changed entry is an echo too."""
        return isinstance(changed, EchoCandidate)


class EchoClient(EngineClient):
    """Answers chat completions."""

    is_available = True

    def __init__(self, candidate: EchoCandidate) -> None:
        self._candidate = candidate

    async def open(
        self, endpoint: Endpoint, body: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the answer as one document."""
        content = self._candidate.say(body["messages"][-1]["content"])
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        document = {"object": "chat.completion", "model": "echo", "choices": [choice]}
        rewriter = Rewriter(self._candidate.name, endpoint)
        content = rewriter.document(json.dumps(document).encode())
        return Answer(200, Document(content), rewriter.facts)
