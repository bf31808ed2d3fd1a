"""Python functions run in a process of their own, so that measurements do not share one.

A measurement needs this where libraries read environment variables when they are imported, or
where earlier work in the same process would change the figures: threads, memory, an event loop.
Arguments and results are Python objects.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Result = TypeVar("Result")

# A measurement starts its own Ray and never asks a model hub.
_ENVIRONMENT: Mapping[str, str | None] = {"RAY_ADDRESS": None, "HF_HUB_OFFLINE": "1"}
_WATCH_INTERVAL_S = 0.01
_STOP_TIMEOUT_S = 60


def call(
    function: Callable[..., Result],
    *arguments: Any,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[], object] = lambda: None,
) -> Result:
    """Call a function in a new process and return its result.

    Args:
        function: a function of an importable module.
        arguments: arguments of the function.
        environment: environment variables of the new process, in addition to this one's.
        watch: called in this process every hundredth of a second until the function returns.

    Raises:
        RuntimeError: the function failed; its traceback is on stderr.
    """
    with _process(_send_result, (function, arguments), environment) as (process, receiver):
        while not receiver.poll(_WATCH_INTERVAL_S):
            watch()
        result: Result = _receive(receiver, function)
        process.join()  # without a signal, so that engines and clusters of the function end
    return result


@contextmanager
def running(
    function: Callable[..., None], *arguments: Any, environment: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """Run a function in a new process for the length of a block, then end it by SIGTERM.

    Args:
        function: a function of an importable module. Its first argument is a connection, on which
            it sends one object when it is ready; the block receives that object.
        arguments: its other arguments.
        environment: environment variables of the new process, in addition to this one's.

    Raises:
        RuntimeError: the function ended before it was ready.
    """
    with _process(function, arguments, environment) as (_, receiver):
        yield _receive(receiver, function)


@contextmanager
def _process(
    target: Callable[..., None], arguments: Sequence[Any], environment: Mapping[str, str] | None
) -> Iterator[tuple[BaseProcess, Connection]]:
    """Start a process whose first argument is the sending end of the yielded connection."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(sender, *arguments))
    with _variables({**_ENVIRONMENT, **(environment or {})}):
        process.start()
    sender.close()  # so that receiving ends with the process
    try:
        yield process, receiver
    finally:
        process.terminate()
        process.join(_STOP_TIMEOUT_S)
        process.kill()
        process.join()


def _send_result(
    sender: Connection, function: Callable[..., object], arguments: Sequence[Any]
) -> None:
    sender.send(function(*arguments))


def _receive(receiver: Connection, function: Callable[..., object]) -> Any:
    try:
        return receiver.recv()
    except EOFError:
        raise RuntimeError(
            f"the process of {function.__name__} ended early; stderr has its error"
        ) from None


@contextmanager
def _variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables for the length of a block; None removes a variable."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
