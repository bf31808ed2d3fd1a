"""The API over fake services."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from modelsat.zoo.candidate import Price
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.api.app import build_api
from serve_app.api.services import Services
from serve_app.config import ServeConfig
from serve_app.contracts.answers import Answer, AnswerFacts, Attempt, Dispatched
from serve_app.contracts.routing import Ranking
from serve_app.contracts.zoo_state import ZooState

DOCUMENT = b'{"object": "chat.completion", "model": "x"}'
EVENTS = (b'data: {"model": "tiny-b"}\n\n', b"data: [DONE]\n\n")


def candidate(name, **fields):
    return OpenAICandidate(
        name=name,
        engine="openai",
        base_url="http://127.0.0.1:1/v1",
        model=name,
        context_window=fields.pop("context_window", 4096),
        **fields,
    )


ZOO = Zoo(
    version=1,
    candidates=(
        candidate("tiny/a"),
        candidate("tiny-b", price=Price(input_usd_per_mtok=1, output_usd_per_mtok=2)),
        candidate("embedder", endpoints=("embeddings",), context_window=512),
    ),
)


RANKING = Ranking(
    order=("tiny-b", "tiny/a"),
    reason="highest_score",
    confidence=0.75,
    scores={"tiny-b": 0.75, "tiny/a": 0.5},
    zoo_version=3,
)


class FakeParts:
    def __init__(self, parts, before_each=None):
        self.left = list(parts)
        self.before_each = before_each
        self.num_closed = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        if self.before_each is not None:
            await self.before_each()
        part = self.left.pop(0)
        if isinstance(part, BaseException):
            raise part
        return part

    async def aclose(self):
        self.num_closed += 1


@dataclass
class FakeDispatcher:
    """Answers with ``parts``, or raises ``error``; records the calls."""

    parts: tuple = (DOCUMENT,)
    status: int = 200
    facts: AnswerFacts = field(default_factory=AnswerFacts)
    error: Exception | None = None
    before_answer: object = None
    before_each: object = None
    failed_first: tuple = ()
    sent: list = field(default_factory=list)
    opened: list = field(default_factory=list)

    async def send(self, ranking, endpoint, body, *, stream, deadline):
        self.sent.append((tuple(ranking), endpoint, dict(body), stream, deadline))
        if self.before_answer is not None:
            await self.before_answer()
        if self.error is not None:
            raise self.error
        parts = FakeParts(self.parts, self.before_each)
        self.opened.append(parts)
        name = ranking[len(self.failed_first)]
        attempts = (*self.failed_first, Attempt(name, "answered", 0.0))
        return Dispatched(name, Answer(self.status, parts, self.facts), attempts)


@dataclass
class FakeRouter:
    ranking: Ranking = RANKING
    explanation: Mapping = field(default_factory=lambda: {"selected_model": "tiny-b"})
    error: Exception | None = None
    asked: list = field(default_factory=list)
    kept: list = field(default_factory=list)

    async def rank(self, request):
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return self.ranking

    def remember(self, session_id, ranking, candidate):
        self.kept.append((session_id, ranking, candidate))

    async def explain(self, request, top_k):
        self.asked.append((request, top_k))
        if self.error is not None:
            raise self.error
        return self.explanation


class Recorder:
    def __init__(self):
        self.records = []

    def finished(self, record):
        self.records.append(record)


class FakeServed:
    """An application over fakes; a test may change each of them."""

    def __init__(self):
        self.router = FakeRouter()
        self.dispatcher = FakeDispatcher()
        self.recorder = Recorder()
        self.state = ZooState(version=3, zoo=ZOO, cards=(), router="router")
        self.is_ready = True
        self.keys = None
        self.admin = None
        self.config = {}

    def build(self, **options):
        config = ServeConfig(zoo="z", cards="c", router="r", **self.config)
        services = Services(
            zoo=lambda: self.state,
            router=self.router,
            dispatcher=self.dispatcher,
            ready=lambda: self.is_ready,
            observers=(self.recorder,),
            keys=self.keys,
            admin=self.admin,
        )
        return build_api(services, config, **options)

    @property
    def record(self):
        [record] = self.recorder.records
        return record


@pytest.fixture
def served():
    return FakeServed()
