"""Circuit breaker: candidates that fail are in cool-down for a while. One per ingress replica.

A candidate is healthy (0), in cool-down (2: it gets no request), or half-open (1: the cool-down has
passed, and one request at a time may try it).

- `failures_to_cool` failures in a row start a cool-down; 429, and any failure with a retry time,
  starts one at once. The first cool-down takes `cooldown_s`, and each further one twice as long as
  the one before, up to `max_cooldown_s`, until a request succeeds. ``Retry-After`` replaces the
  length of one cool-down, within the same limit.
- The first byte of a trial ends the cool-down of a half-open candidate on probation: one more
  failure, such as a broken stream, starts another. Only a success restores it fully.
- Requests that were sent before a cool-down do not change the state during it.

Events that say nothing about the candidate do not count: a full queue on this cluster, a client
that disconnects, a client's time limit below the configured one. The last two count when they go
on: requests that are cancelled before their first byte are a failure once they have waited more
than `attempt_timeout_s` in total, without an answer to any request and without a cool-down in
between. Otherwise a hanging candidate would get requests for ever if every client is impatient.
Some clients that cancel at once are not enough: they must not take a candidate from patient ones.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from serve_app.config import FallbackOptions
from serve_app.contracts.answers import CandidateFailure


class State(IntEnum):
    """Health of a candidate, as the metric shows it."""

    HEALTHY = 0
    HALF_OPEN = 1
    COOLED = 2


@dataclass
class _Circuit:
    """One candidate.

    Attributes:
        num_failures: in a row.
        cooldown_s: length of the next cool-down.
        cooled_until_s: end of the present one; None when it is not cooled or half-open.
        trial: the request that tries it while half-open.
        silent_s: how long requests that were given up have waited since its last answer or
            cool-down; time in which several of them waited counts once.
        counted_until_s: up to when that is counted.
    """

    cooldown_s: float
    num_failures: int = 0
    cooled_until_s: float | None = None
    trial: "Trial | None" = None
    silent_s: float = 0.0
    counted_until_s: float = -math.inf


class Trial:
    """One request to one candidate; reports its result once."""

    def __init__(self, health: "CandidateHealth", circuit: _Circuit, started_s: float) -> None:
        self._health = health
        self._circuit = circuit
        self._started_s = started_s
        self._is_settled = False

    def answered(self) -> None:
        """Report the first byte of a stream."""
        self._health.hear(self._circuit)
        if not self._is_settled and self._circuit.trial is self:
            self._health.release(self._circuit)

    def succeeded(self) -> None:
        """Report a complete answer."""
        self._health.hear(self._circuit)
        if self._settle():
            self._health.restore(self._circuit)

    def failed(self, failure: CandidateFailure) -> None:
        """Report no answer, or a part of an answer."""
        if self._settle():
            self._health.count(self._circuit, failure)

    def abandoned(self) -> None:
        """Report an end that says nothing about the candidate."""
        self._settle()

    def unanswered(self) -> None:
        """Report that the client cancelled the request before the first byte."""
        if self._settle():
            self._health.count_silence(self._circuit, self._started_s)

    def _settle(self) -> bool:
        """Return whether the result counts: not if the request was sent before a cool-down."""
        if self._is_settled:
            return False
        self._is_settled = True
        counts = self._circuit.cooled_until_s is None or self._circuit.trial is self
        if self._circuit.trial is self:
            self._circuit.trial = None
        return counts


class CandidateHealth:
    """Health of all candidates, as this process sees it."""

    def __init__(
        self, options: FallbackOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with every candidate healthy, by a monotonic clock."""
        self._options = options
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}

    def begin(self, candidate: str) -> Trial | None:
        """Begin a request; None if the candidate must not get one now.

        The caller must report the result of the trial in every case: a half-open candidate gets no
        other request before.
        """
        circuit = self._circuits.get(candidate)
        if circuit is None:
            circuit = self._circuits[candidate] = _Circuit(self._options.cooldown_s)
        now_s = self._clock()
        trial = Trial(self, circuit, now_s)
        if circuit.cooled_until_s is not None:
            if circuit.trial is not None or now_s < circuit.cooled_until_s:
                return None
            circuit.trial = trial
        return trial

    def wait_s(self, candidate: str) -> float:
        """Return the seconds until the candidate may get a request; 0 if now or after a trial."""
        circuit = self._circuits.get(candidate)
        if circuit is None or circuit.cooled_until_s is None:
            return 0.0
        return max(0.0, circuit.cooled_until_s - self._clock())

    def in_cooldown(self) -> set[str]:
        """Return the names of the candidates that are in cool-down now."""
        now_s = self._clock()
        return {
            name
            for name, circuit in self._circuits.items()
            if circuit.cooled_until_s is not None and now_s < circuit.cooled_until_s
        }

    def state(self, candidate: str) -> State:
        """Return the state of a candidate now."""
        circuit = self._circuits.get(candidate)
        if circuit is None or circuit.cooled_until_s is None:
            return State.HEALTHY
        return State.COOLED if self._clock() < circuit.cooled_until_s else State.HALF_OPEN

    def keep(self, candidates: Iterable[str]) -> None:
        """Forget all candidates but these."""
        kept = set(candidates)
        self._circuits = {name: c for name, c in self._circuits.items() if name in kept}

    def release(self, circuit: _Circuit) -> None:
        """End a cool-down on probation."""
        circuit.trial, circuit.cooled_until_s = None, None
        circuit.num_failures = self._options.failures_to_cool - 1

    def restore(self, circuit: _Circuit) -> None:
        """Forget all failures."""
        circuit.num_failures, circuit.cooled_until_s = 0, None
        circuit.cooldown_s = self._options.cooldown_s

    def hear(self, circuit: _Circuit) -> None:
        """Note an answer."""
        circuit.silent_s, circuit.counted_until_s = 0.0, self._clock()

    def count_silence(self, circuit: _Circuit, since_s: float) -> None:
        """Note a request that was cancelled unanswered; too much waiting in total is a failure."""
        now_s = self._clock()
        circuit.silent_s += now_s - max(since_s, circuit.counted_until_s)
        circuit.counted_until_s = now_s
        if circuit.silent_s > self._options.attempt_timeout_s:
            self.count(circuit, CandidateFailure("timeout"))

    def count(self, circuit: _Circuit, failure: CandidateFailure) -> None:
        """Note a failure; start a cool-down if it is one too many."""
        if failure.kind == "overloaded" and failure.status is None:
            return
        circuit.num_failures += 1
        at_once = failure.kind == "rate_limited" or failure.retry_after_s is not None
        was_cooled = circuit.cooled_until_s is not None
        if not (at_once or was_cooled or circuit.num_failures >= self._options.failures_to_cool):
            return
        limit_s = self._options.max_cooldown_s
        asked_s = failure.retry_after_s
        length_s = circuit.cooldown_s if asked_s is None else asked_s
        circuit.cooled_until_s = self._clock() + min(length_s, limit_s)
        circuit.cooldown_s = min(2 * circuit.cooldown_s, limit_s)
        circuit.silent_s = 0.0
