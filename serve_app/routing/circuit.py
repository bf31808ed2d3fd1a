"""Leaving a failing service alone for a while."""

from collections.abc import Callable


class Circuit:
    """Counts failures in a row; after some, lets through one call per pause only.

    Args:
        failures_to_open: failures in a row after which calls are held back.
        pause_s: how long they are held back before one may try again.
        clock: monotonic seconds.
    """

    def __init__(self, failures_to_open: int, pause_s: float, clock: Callable[[], float]) -> None:
        self._failures_to_open = failures_to_open
        self._pause_s = pause_s
        self._clock = clock
        self._num_failures = 0
        self._next_try_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self._num_failures >= self._failures_to_open

    def may_try(self) -> bool:
        """Whether a call may be made now; when held back, says yes once per pause."""
        if not self.is_open:
            return True
        if self._clock() < self._next_try_s:
            return False
        self._next_try_s = self._clock() + self._pause_s
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self._num_failures = 0

    def failed(self) -> None:
        """A call was not answered."""
        self._num_failures += 1
        self._next_try_s = self._clock() + self._pause_s
