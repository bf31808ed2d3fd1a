"""Small zoos, and stand-ins for what surrounds a router."""

import asyncio
import json
from dataclasses import replace

from modelsat.artifacts.router_description import DESCRIPTION_NAME, ROUTER_SCHEMA_VERSION
from modelsat.capability.cards import Card, Statement
from modelsat.routing.constraints import Constraints
from modelsat.zoo.candidate import Price
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.config import RoutingOptions
from serve_app.contracts.routing import Requirements, RouteRequest
from serve_app.contracts.scores import ExplainedScores, ScorerFailure, Scores
from serve_app.contracts.zoo_state import ZooState
from serve_app.routing.auto_router import AutoRouter
from serve_app.routing.estimates import Estimates
from serve_app.routing.score_source import ScoreSource


def write_router(folder, max_tokens=128):
    """A router directory as far as an ingress replica reads it."""
    description = {
        "schema_version": ROUTER_SCHEMA_VERSION,
        "model": {"max_instruction_tokens": max_tokens, "max_encoder_tokens": 64},
    }
    (folder / DESCRIPTION_NAME).write_text(json.dumps(description))
    return str(folder)


def candidate(name, cost=1.0, **fields):
    """A candidate whose price, blended, is ``cost``; None: it states no price."""
    price = None if cost is None else Price(input_usd_per_mtok=cost, output_usd_per_mtok=cost)
    values = {"context_window": 8192, **fields}
    return OpenAICandidate(
        name=name,
        engine="openai",
        base_url="http://127.0.0.1:1/v1",
        model="m",
        price=price,
        **values,
    )


def card(name, accuracy=0.5):
    statement = Statement(
        task="sums", description="adding numbers", num_correct=20 * accuracy, num_shots=20
    )
    return Card(name, "0" * 16, (statement,))


def make_state(router, candidates, version=1, accuracies=None, without_card=()):
    accuracies = accuracies or {}
    cards = [
        card(c.name, accuracies.get(c.name, 0.5)) for c in candidates if c.name not in without_card
    ]
    return ZooState(version, Zoo(version=1, candidates=tuple(candidates)), tuple(cards), router)


def request(text="Why?", *, constraints=None, permitted=None, session_id=None, **requirements):
    values = {"endpoint": "chat", "text": text, **requirements}
    return RouteRequest(
        text=text,
        requirements=Requirements(**values),
        constraints=constraints or Constraints(),
        permitted=permitted,
        session_id=session_id,
    )


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class FakeScorer:
    """Answers with the scores it is given; waits while ``gate`` is closed."""

    def __init__(self, by_candidate, version=1):
        self.answer = Scores(version, by_candidate)
        self.statements = {}
        self.texts = []
        self.is_dead = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def score(self, text):
        self.texts.append(text)
        await self.gate.wait()
        if self.is_dead:
            raise ScorerFailure("dead")
        return self.answer

    async def explain(self, text, top_k):
        scores = await self.score(text)
        explained = {name: notes[:top_k] for name, notes in self.statements.items()}
        return ExplainedScores(scores.zoo_version, scores.by_candidate, explained)


class Surroundings:
    """Health, availability, waker and sessions of a router, all settable."""

    def __init__(self):
        self.cooled = set()
        self.replicas = {}
        self.woken = []
        self.sessions = {}

    def in_cooldown(self):
        return self.cooled

    def availability(self):
        return self.replicas

    def wake(self, candidate):
        self.woken.append(candidate)

    async def get(self, session_id):
        return self.sessions.get(session_id)

    def put(self, session_id, candidate):
        self.sessions[session_id] = candidate


async def make_router(state, scorer, surroundings=None, clock=None, estimates=None, **options):
    options = RoutingOptions(**options)
    surroundings = surroundings or Surroundings()
    router = AutoRouter(
        options,
        ScoreSource(scorer, options, clock or Clock()),
        health=surroundings,
        availability=surroundings.availability,
        waker=surroundings,
        estimates=estimates or Estimates(),
        sessions=surroundings,
    )
    await router.follow(state)
    return router


def next_version(state, candidates):
    """The following version of a zoo, with other candidates."""
    return replace(make_state(state.router, candidates), version=state.version + 1)
