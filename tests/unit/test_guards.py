"""The guards of the unit tests themselves."""

import socket

import pytest
import ray


def test_starting_ray_is_an_error():
    with pytest.raises(AssertionError, match="must not start Ray"):
        ray.init()


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("127.0.0.1", 9)])
def test_connecting_is_an_error(address):
    with socket.socket() as client, pytest.raises(AssertionError, match="must not connect"):
        client.connect(address)


def test_loopback_fixture_allows_loopback(loopback):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def test_loopback_fixture_allows_nothing_else(loopback):
    with socket.socket() as client, pytest.raises(AssertionError, match="must not connect"):
        client.connect(("192.0.2.1", 80))
