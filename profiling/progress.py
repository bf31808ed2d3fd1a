"""Progress on stderr: plain lines, so that a job's log shows them as well as a terminal."""

import sys
import time
from collections.abc import Callable

INTERVAL_S = 5.0  # at most one line per candidate in this time


class Progress:
    """Prints what each candidate is doing.

    Args:
        total: questions of one candidate.
        clock: seconds, rising.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._said_s: dict[str, float] = {}
        self._answering: set[str] = set()

    def say(self, candidate: str, text: str) -> None:
        """Print one line about a candidate."""
        sys.stderr.write(f"profile: {candidate}: {text}\n")
        sys.stderr.flush()
        self._said_s[candidate] = self._clock()

    def answered(
        self, candidate: str, num_rows: int, answering_s: float, *, num_before: int = 0
    ) -> None:
        """Say how many questions are answered: at first, then every few seconds.

        Args:
            candidate: its name.
            num_rows: questions answered by this run so far.
            answering_s: seconds since its first answers came.
            num_before: questions that earlier runs had answered.
        """
        first = candidate not in self._answering
        self._answering.add(candidate)
        if not first and self._clock() - self._said_s[candidate] < INTERVAL_S:
            return
        rate = "" if first else f", {num_rows / answering_s:.0f}/s"
        self.say(candidate, f"{num_before + num_rows}/{self._total} questions answered{rate}")

    def waiting(self, candidate: str, elapsed_s: float) -> None:
        """Say every few seconds that no answer has come yet."""
        if self._clock() - self._said_s[candidate] >= 2 * INTERVAL_S:
            self.say(candidate, f"no answer yet, {elapsed_s:.0f} s so far")
