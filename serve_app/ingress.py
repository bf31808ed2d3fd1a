"""One ingress replica: everything between HTTP and candidates. Loads no torch, no vLLM."""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.api.app import build_api
from serve_app.api.keys import KeyRing
from serve_app.api.services import Services
from serve_app.candidates.clients import CandidateClients
from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth
from serve_app.candidates.waking import ServeWaker
from serve_app.config import ServeConfig
from serve_app.contracts.scores import ScorerFailure
from serve_app.contracts.zoo_state import ZooState
from serve_app.observe.observation import Observation
from serve_app.observe.request_metrics import Readings
from serve_app.preflight import check_exposure
from serve_app.registry.client import ControllerClient
from serve_app.registry.follower import ZooFollower
from serve_app.routing.auto_router import AutoRouter
from serve_app.routing.estimates import Estimates
from serve_app.routing.score_source import ScoreSource
from serve_app.routing.sessions import SessionClient
from serve_app.scoring.client import ServeScorerClient

_REACH_TIMEOUT_S = 30
_logger = logging.getLogger(f"ray.serve.{__name__}")  # writes the replica's log file


class Ingress:
    """Serve deployment that routes requests and relays answers."""

    async def __init__(  # type: ignore[misc]
        self, settings: dict[str, Any], scorer: DeploymentHandle, controller: DeploymentHandle
    ) -> None:
        """Assemble the parts and start following the zoo.

        Args:
            settings: fields of :class:`serve_app.config.ServeConfig`.
            scorer: deployment that scores.
            controller: deployment that holds the zoo.

        Raises:
            ModelSatError: the zoo, its router directory or the keys cannot be read, or Serve is
                reachable from other machines without keys.
        """
        config = ServeConfig.model_validate(settings)
        await asyncio.to_thread(check_exposure, config.security)
        self._config = config
        self._controller = ControllerClient(controller)
        self._keys = None
        if config.security.keys is not None:
            self._keys = KeyRing(config.security.keys, num_replicas=config.ingress.num_replicas)
        self._health = CandidateHealth(config.fallback)
        self._clients = CandidateClients(
            config.ingress.max_in_flight, config.fallback.connect_timeout_s
        )
        self._follower = ZooFollower(
            self._controller, "ingress", self._follow, on_count=self._clients.count
        )
        scorer_client = ServeScorerClient(scorer, config.scorer.max_batch_size)
        self._scores = ScoreSource(scorer_client, config.routing)
        self._estimates = Estimates()
        self._router = AutoRouter(
            config.routing,
            self._scores,
            health=self._health,
            availability=lambda: self._follower.availability,
            waker=ServeWaker(lambda: self._follower.state.zoo),
            estimates=self._estimates,
            sessions=SessionClient(self._controller, config.routing.sessions),
        )
        await self._follower.start(config.startup_timeout_s)
        await _reach(scorer_client)
        self._observation = Observation(
            config.observability,
            lambda: self._follower.state,
            config.routing.profiles,
            instance=serve.get_replica_context().replica_tag,
        )
        self._api = build_api(self._services(), config)
        self._observation.start(self._read)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The ASGI application of this replica; Serve calls this after the constructor."""
        return self._api

    async def __del__(self) -> None:
        """Stop what runs in the background; Serve calls this when the last request has ended."""
        await self._follower.stop()
        await self._clients.close()
        await self._observation.close()

    async def _follow(self, state: ZooState) -> None:
        await self._router.follow(state)
        self._health.keep(self._clients.follow(state.zoo))  # a changed one starts afresh

    def _services(self) -> Services:
        has_admin = self._keys is not None and self._keys.has_admin
        return Services(
            zoo=lambda: self._follower.state,
            router=self._router,
            dispatcher=Dispatcher(self._clients, self._health, self._config.fallback),
            ready=self._is_ready,
            observers=(*self._observation.observers, self._estimates),
            keys=self._keys,
            admin=self._controller if has_admin else None,
        )

    def _is_ready(self) -> bool:
        """Whether some candidate has an engine or answers elsewhere; asks none."""
        availability = self._follower.availability
        return any(availability.get(name, 1) > 0 for name in self._follower.state.zoo.names)

    def _read(self) -> Readings:
        names = self._follower.state.zoo.names
        limiter = self._api.state.limiter
        return Readings(
            in_flight=limiter.in_flight,
            queued=limiter.queued,
            score_cache_hits=self._scores.num_hits,
            score_cache_misses=self._scores.num_misses,
            candidate_states={name: int(self._health.state(name)) for name in names},
        )


async def _reach(scorer: ServeScorerClient) -> None:
    """Make the connection to the scorer, which takes longer than a request waits for scores.

    A scorer that cannot be reached now may be later; requests have their default meanwhile.
    """
    try:
        async with asyncio.timeout(_REACH_TIMEOUT_S):
            await scorer.score("Which of these is correct?")
    except (ScorerFailure, TimeoutError):
        _logger.warning("the scorer does not answer yet; the default candidate does")
