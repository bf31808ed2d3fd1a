"""Clients of the candidates of the served zoo."""

import logging
from collections.abc import Mapping

import aiohttp

from modelsat.errors import ZooError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.candidates.defaults import ClientWithDefaults
from serve_app.candidates.engines import engine_of
from serve_app.candidates.engines.protocol import EngineClient
from serve_app.contracts.headers import ACCEPT_ENCODING, USER_AGENT

# Below the 5 s after which uvicorn (so vLLM) and Node close idle connections, so that no request
# is sent on a connection that is being closed.
_KEEP_ALIVE_S = 4
_DNS_CACHE_S = 30

_logger = logging.getLogger(f"ray.serve.{__name__}")  # writes to the replica's log file


class CandidateClients:
    """Clients by candidate name; they share one pool of HTTP connections."""

    def __init__(self, max_connections: int, connect_timeout_s: float) -> None:
        """Open the connection pool, inside a running event loop; see `open_session`."""
        self._session = open_session(max_connections, connect_timeout_s)
        self._clients: dict[str, tuple[Candidate, EngineClient]] = {}
        self._num_replicas: Mapping[str, int] = {}

    def follow(self, zoo: Zoo) -> tuple[str, ...]:
        """Use the candidates of a zoo and no others; unchanged ones keep their client.

        A candidate without its key gets no client, and the log says so; the others are served.

        Returns:
            Names of the unchanged candidates; the recorded health of the others is void.
        """
        clients, unchanged = {}, []
        for candidate in zoo.candidates:
            known = self._clients.get(candidate.name)
            if known is not None and known[0] == candidate:
                clients[candidate.name] = known
                unchanged.append(candidate.name)
                continue
            try:
                client = engine_of(candidate).open_client(self._session)
                if fields := candidate.generation.request_fields:
                    client = ClientWithDefaults(client, fields)
            except ZooError as error:
                _logger.error("no request can be sent: %s", error)
                continue
            client.count_replicas(self._num_replicas.get(candidate.name))
            clients[candidate.name] = (candidate, client)
        self._clients = clients
        return tuple(unchanged)

    def count(self, num_replicas: Mapping[str, int]) -> None:
        """Note the running replicas by candidate; a candidate that is not listed is available."""
        self._num_replicas = num_replicas
        for candidate, client in self._clients.values():
            client.count_replicas(num_replicas.get(candidate.name))

    def get(self, candidate: str) -> EngineClient | None:
        """Return the client of a candidate; None if it is not served or cannot answer now."""
        known = self._clients.get(candidate)
        return known[1] if known is not None and known[1].is_available else None

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


def open_session(max_connections: int, connect_timeout_s: float) -> aiohttp.ClientSession:
    """Open the connection pool of a process, inside a running event loop.

    Args:
        max_connections: most open connections; requests beyond it wait for one.
        connect_timeout_s: time limit for a new connection.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=max_connections, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=_DNS_CACHE_S
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
        headers={USER_AGENT: "model-sat", ACCEPT_ENCODING: "identity"},
        trust_env=False,
    )
