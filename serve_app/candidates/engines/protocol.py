"""The interface of an engine for serving."""

from abc import ABC, abstractmethod
from typing import Any, Protocol

import aiohttp
from ray.serve import Application

from modelsat.zoo.candidate import Candidate
from serve_app.config import CandidateOptions
from serve_app.contracts.answers import CandidateClient


class EngineClient(CandidateClient, Protocol):
    """A client that knows whether its candidate can answer now."""

    @property
    def is_available(self) -> bool:
        """Whether requests may be sent to the candidate."""

    def count_replicas(self, num_replicas: int | None) -> None:
        """Note how many replicas of the candidate run.

        Args:
            num_replicas: replicas on this cluster that take requests; None if nobody counts them.
        """
        return None


class ServingEngine(ABC):
    """One candidate's engine.

    The constructor takes the candidate and is cheap; it opens no connection and starts nothing.
    """

    @abstractmethod
    def open_client(self, pool: aiohttp.ClientSession) -> EngineClient:
        """Return a client that sends requests to the candidate.

        Args:
            pool: HTTP connections that the clients of one process share.

        Raises:
            ZooError: the candidate's key is missing.
        """

    @abstractmethod
    def can_become(self, changed: Candidate) -> bool:
        """Return whether the candidate's entry may change to another one while it serves.

        Args:
            changed: the new entry, with the same slug.
        """


class ClusterEngine(ServingEngine):
    """An engine that runs on this cluster, as one Serve application per candidate.

    A replica has a method ``answer``, which yields what ``serve_app.candidates.wire`` makes, and
    ``num_ongoing_requests``.
    """

    @abstractmethod
    def check_hardware(self, num_gpus: float) -> None:
        """Check that the cluster can ever hold the engine.

        Args:
            num_gpus: GPUs of the cluster.

        Raises:
            ZooError: it cannot.
        """

    @abstractmethod
    def configuration(self, options: CandidateOptions) -> dict[str, Any]:
        """Return all settings of the application; the engine restarts when they change.

        Args:
            options: limits for candidates whose entry states none.
        """

    @abstractmethod
    def build(self, options: CandidateOptions) -> Application:
        """Return the Serve application, not yet deployed and without a route.

        May import the engine: call it in a short-lived process.

        Args:
            options: limits for candidates whose entry states none.

        Raises:
            ZooError: a setting is refused.
            MachineError: the engine is not installed.
        """
