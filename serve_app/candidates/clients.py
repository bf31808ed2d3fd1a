"""A client for every candidate of the zoo that is served now."""

import logging
from collections.abc import Mapping

from modelsat.errors import ZooError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.candidates.llm_config import scales_to_zero
from serve_app.candidates.local import LocalClient
from serve_app.candidates.remote import RemoteClient, open_session
from serve_app.contracts.answers import CandidateClient

_logger = logging.getLogger(f"ray.serve.{__name__}")  # writes the replica's log file


class CandidateClients:
    """Clients by candidate name; remote ones share one pool of connections."""

    def __init__(self, max_connections: int, connect_timeout_s: float) -> None:
        """Open the pool, inside a running loop; see `open_session`."""
        self._session = open_session(max_connections, connect_timeout_s)
        self._clients: dict[str, tuple[Candidate, CandidateClient]] = {}
        self._num_replicas: Mapping[str, int] = {}

    def follow(self, zoo: Zoo) -> tuple[str, ...]:
        """Serve the candidates of a zoo and no others; unchanged ones keep their client.

        A candidate whose key is missing gets none, which is logged: it cannot be asked, and
        the others can.

        Returns:
            Names of the unchanged ones: what was learnt of the health of others is void.
        """
        clients, kept = {}, []
        for candidate in zoo.candidates:
            known = self._clients.get(candidate.name)
            if known is not None and known[0] == candidate:
                clients[candidate.name] = known
                kept.append(candidate.name)
                continue
            try:
                clients[candidate.name] = (candidate, self._client(candidate))
            except ZooError as error:
                _logger.error("no request can be sent: %s", error)
        self._clients = clients
        return tuple(kept)

    def count(self, num_replicas: Mapping[str, int]) -> None:
        """Take running replicas of local candidates; whoever is not listed runs.

        Requests that wait for a candidate without any fail now, for others to be asked.
        """
        self._num_replicas = num_replicas
        for candidate, client in self._clients.values():
            if isinstance(client, LocalClient) and self._is_gone(candidate):
                client.give_up()

    def get(self, candidate: str) -> CandidateClient | None:
        """Its client; None when it is not served or cannot be asked.

        A local candidate without a replica can be asked if it scales to zero: then the request
        starts one. Another one starts or has lost its last replica, and nobody knows how long
        the next one takes.
        """
        known = self._clients.get(candidate)
        return None if known is None or self._is_gone(known[0]) else known[1]

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    def _is_gone(self, candidate: Candidate) -> bool:
        return (
            isinstance(candidate, VllmCandidate)
            and self._num_replicas.get(candidate.name) == 0
            and not scales_to_zero(candidate)
        )

    def _client(self, candidate: Candidate) -> CandidateClient:
        if isinstance(candidate, OpenAICandidate):
            return RemoteClient(candidate, self._session)
        return LocalClient(candidate.name, candidate.application_name)
