"""Unit tests reach no cluster and no network; whoever tries is told so."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

UNIT_TIMEOUT_S = 60
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every unit test its own, shorter limit."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(UNIT_TIMEOUT_S))


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray is an error."""
    import ray

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise AssertionError("a unit test must not start Ray; move it to tests/integration")

    monkeypatch.setattr(ray, "init", refuse)


@pytest.fixture
def loopback() -> None:
    """Ask for connections to this machine itself."""


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting anywhere is an error; to this machine, unless the test asks for `loopback`."""
    allowed = LOOPBACK if "loopback" in request.fixturenames else ()

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any, *args: Any) -> Any:
            if self.family != socket.AF_UNIX and address[0] not in allowed:
                raise AssertionError(f"a unit test must not connect to {address}")
            return real(self, address, *args)

        return connect

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
