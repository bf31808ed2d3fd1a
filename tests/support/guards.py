"""Fixtures that make starting Ray, and connecting to anything, an error in a unit test."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray is an error."""
    import ray

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise AssertionError("a unit test must not start Ray; move it to tests/integration")

    monkeypatch.setattr(ray, "init", refuse)


@pytest.fixture(autouse=True, scope="session")
def avx2_processor() -> Iterator[None]:
    """Simulate the least processor supported, for precision ``auto``: tests need no AVX-512."""
    from modelsat import processor

    real = processor.local_processor

    def simulated(device: str = "cpu") -> processor.Processor:
        return processor.Processor("AVX2", ("avx2",)) if device == "cpu" else real(device)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(processor, "local_processor", simulated)
        yield


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
