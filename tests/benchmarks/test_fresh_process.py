"""Functions in a process of their own: results, errors, environment and end."""

import os
import threading

import psutil
import pytest

from tests.benchmarks import fresh_process


def describe(name):
    return os.getpid(), os.environ.get(name), os.environ.get("RAY_ADDRESS")


def fail():
    raise ValueError("no luck")


def serve(ready, answer):
    ready.send((os.getpid(), answer))
    threading.Event().wait()


def leave(ready):
    """Never ready."""


def test_a_function_runs_elsewhere_with_its_own_variables(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "somewhere")
    seen = []
    pid, value, address = fresh_process.call(
        describe, "MINE", environment={"MINE": "1"}, watch=lambda: seen.append(True)
    )
    assert pid != os.getpid()
    assert (value, address) == ("1", None)
    assert seen
    assert "MINE" not in os.environ
    assert os.environ["RAY_ADDRESS"] == "somewhere"


def test_a_function_that_fails_is_an_error(capfd):
    with pytest.raises(RuntimeError, match="fail ended early"):
        fresh_process.call(fail)
    assert "ValueError: no luck" in capfd.readouterr().err


def test_a_server_ends_with_the_block():
    with fresh_process.running(serve, "hello") as (pid, answer):
        assert answer == "hello"
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_a_server_that_ends_early_is_an_error():
    with pytest.raises(RuntimeError, match="leave ended early"), fresh_process.running(leave):
        pass
