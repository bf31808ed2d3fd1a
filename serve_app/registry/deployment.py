"""The Serve deployment of the zoo controller: one replica; loads neither torch nor an engine."""

import asyncio
import os
from typing import Any

from serve_app.config import ServeConfig
from serve_app.observe.part_metrics import MeasuredSessions
from serve_app.registry.applications import ServeApplications
from serve_app.registry.changes import Rules
from serve_app.registry.controller import ZooController
from serve_app.registry.seed import continue_or_seed, read_seed
from serve_app.registry.store import ZooStore
from serve_app.routing.sessions import SessionStore

_APPLICATIONS_RECORD = "applications.json"


class ControllerDeployment(ZooController):
    """The zoo controller, built from the configuration."""

    async def __init__(self, settings: dict[str, Any]) -> None:  # type: ignore[misc]
        """Read or create the newest version of the zoo, and start serving it.

        Args:
            settings: fields of :class:`serve_app.config.ServeConfig`.

        Raises:
            ModelSatError: the configured files are refused.
        """
        config = ServeConfig.model_validate(settings)
        options, sessions = config.registry, config.routing.sessions
        store = ZooStore(options.folder, num_versions=options.num_versions)
        seed = await asyncio.to_thread(read_seed, config)
        applications = ServeApplications(
            config.candidates, store.folder / _APPLICATIONS_RECORD, config.startup_timeout_s
        )
        super().__init__(
            store,
            continue_or_seed(store, seed),
            applications,
            Rules(
                profiles=tuple(config.routing.profiles),
                default_candidate=config.routing.default_candidate,
                environment=os.environ,
                max_accuracy_shift=options.max_accuracy_shift,
            ),
            MeasuredSessions(SessionStore(sessions.ttl_s, sessions.max_sessions)),
            agreement_timeout_s=options.agreement_timeout_s,
        )
        await self.start()
