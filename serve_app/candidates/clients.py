"""A client for every candidate of the zoo that is served now."""

import logging

from modelsat.errors import ZooError
from modelsat.zoo import OpenAICandidate, Zoo, ZooCandidate
from serve_app.candidates.answer import CandidateClient
from serve_app.candidates.local import LocalClient
from serve_app.candidates.remote import RemoteClient, open_session

_logger = logging.getLogger(f"ray.serve.{__name__}")  # writes the replica's log file


class CandidateClients:
    """Clients by candidate name; remote ones share one pool of connections."""

    def __init__(self, max_connections: int, connect_timeout_s: float) -> None:
        """Open the pool, inside a running loop; see `open_session`."""
        self._session = open_session(max_connections, connect_timeout_s)
        self._clients: dict[str, tuple[ZooCandidate, CandidateClient]] = {}

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

    def get(self, candidate: str) -> CandidateClient | None:
        """Its client; None when it is not served or cannot be asked."""
        known = self._clients.get(candidate)
        return None if known is None else known[1]

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    def _client(self, candidate: ZooCandidate) -> CandidateClient:
        if isinstance(candidate, OpenAICandidate):
            return RemoteClient(candidate, self._session)
        return LocalClient(candidate.name, candidate.application_name)
