"""A served endpoint on a Ray cluster of its own, for the length of a measurement."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from serve_app.config import ServeConfig
from tests.benchmarks import fresh_process


@dataclass(frozen=True)
class Endpoint:
    """A server of chat completions.

    Attributes:
        url: base URL with ``/v1``.
        headers: headers that requests need.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def served(config: ServeConfig, key: str) -> Iterator[Endpoint]:
    """Serve the endpoint on a Ray cluster of its own."""
    with fresh_process.running(_serve_endpoint, config, environment={"RAY_ADDRESS": "local"}):
        yield Endpoint(config.url, bearer(key))


def _serve_endpoint(ready: Connection, config: ServeConfig) -> None:
    from serve_app import lifecycle

    lifecycle.raise_on_signals()
    lifecycle.deploy(config, report=lambda line: None)
    lifecycle.raise_on_signals()  # ray.init has replaced the handlers
    ready.send(None)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    lifecycle.shutdown()


def new_key() -> str:
    """Return a new API key of the usual form."""
    return f"sk-{secrets.token_hex(16)}"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
