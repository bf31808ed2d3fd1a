"""An event loop whose clock jumps to the next timer when nothing else is left to do."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

_THREAD_END_S = 5.0  # a loop that closes waits for its threads by no future


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for threads in real time, for timers in no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.num_in_threads = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout == 0 or self.num_in_threads:
            return super().select(0 if timeout == 0 else None)
        ready = super().select(_THREAD_END_S if timeout is None else 0)
        if not ready:
            if timeout is None:
                raise AssertionError("every task waits and no timer is set: a deadlock")
            self.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Hours pass in milliseconds, and always in the same order."""

    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self.jumping.now_s

    def run_in_executor(self, *args: Any) -> Any:
        self.jumping.num_in_threads += 1
        future = super().run_in_executor(*args)
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _future: Any) -> None:
        self.jumping.num_in_threads -= 1


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
