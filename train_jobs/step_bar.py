"""A bar of a run's training steps, on the terminal of the command that started it.

Workers print lines into the job's log, which is all that a driver without a terminal shows. On a
terminal an actor counts the first worker's steps, and the driver draws them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import ray
from ray.exceptions import RayError

from modelsat.progress import Progress

_ANSWER_TIMEOUT_S = 10.0


class _StepCount:
    """Steps that a run has done; an actor."""

    def __init__(self) -> None:
        self._done = 0

    def set_done(self, done: int) -> None:
        self._done = done

    def done(self) -> int:
        return self._done


@contextmanager
def step_bar(run: str, num_steps: int) -> Iterator[None]:
    """Show a bar while the block runs; without a terminal, do nothing.

    Args:
        run: name of the run.
        num_steps: steps of both stages.
    """
    if not sys.stderr.isatty():
        yield
        return
    counter = ray.remote(num_cpus=0)(_StepCount).options(name=_actor_name(run)).remote()
    last = 0

    def count() -> int:
        nonlocal last
        # The bar stands still while Ray restarts; the job itself reports what fails.
        with suppress(RayError):
            last = ray.get(counter.done.remote(), timeout=_ANSWER_TIMEOUT_S)
        return last

    try:
        with Progress("train", num_steps, count=count):
            yield
    finally:
        ray.kill(counter)


def step_reporter(run: str) -> Callable[[int], None]:
    """Return what a worker calls with the number of steps done, to move the driver's bar."""
    try:
        counter = ray.get_actor(_actor_name(run))
    except ValueError:  # the driver has no terminal
        return lambda _done: None
    return lambda done: counter.set_done.remote(done)


def _actor_name(run: str) -> str:
    return f"steps of {run}"
