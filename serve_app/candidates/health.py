"""Which candidates are left alone for a while because they failed; kept per ingress replica.

A candidate is healthy (0), or cooled (2): not asked until its cool-down has passed, or half-open
(1): the cool-down has passed and one request at a time may try it.

- `failures_to_cool` failures in a row cool it; 429, and any failure that says when to come
  back, at once. The first cool-down takes `cooldown_s`, each one after it twice as long as the
  one before, up to `max_cooldown_s`, until a request succeeds. ``Retry-After`` replaces the
  length of one cool-down, under the same limit.
- The trial of a half-open candidate closes the matter by its first byte, but on probation: one
  failure more, such as a stream that breaks, cools it again. Only a success restores it fully.
- While it is cooled, requests that were sent before change nothing by how they end.

What tells nothing about the candidate counts for nothing: a queue of this cluster that is full,
a client that left, a limit that the client set shorter than the configured one. The latter two
tell something after all where they go on: requests that were given up before their first byte
count as failures from when they have waited more than `attempt_timeout_s` in all, with no answer
to anybody and no cool-down in between. Else a candidate that hangs would be asked for ever where
no client is patient. A few that give up at once are not enough: they must not take a candidate
from those who wait for it.
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
    """One request to one candidate; tells how it went, once."""

    def __init__(self, health: "CandidateHealth", circuit: _Circuit, started_s: float) -> None:
        self._health = health
        self._circuit = circuit
        self._started_s = started_s
        self._is_settled = False

    def answered(self) -> None:
        """The first byte of a stream is here."""
        self._health.hear(self._circuit)
        if not self._is_settled and self._circuit.trial is self:
            self._health.release(self._circuit)

    def succeeded(self) -> None:
        """The answer is complete."""
        self._health.hear(self._circuit)
        if self._settle():
            self._health.restore(self._circuit)

    def failed(self, failure: CandidateFailure) -> None:
        """It gave no answer, or a part of one."""
        if self._settle():
            self._health.count(self._circuit, failure)

    def abandoned(self) -> None:
        """It was given up for a reason that says nothing about the candidate."""
        self._settle()

    def unanswered(self) -> None:
        """Its client gave it up before the first byte."""
        if self._settle():
            self._health.count_silence(self._circuit, self._started_s)

    def _settle(self) -> bool:
        """Whether how it went counts; it does not when it was sent before a cool-down."""
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
        """Ask to send a request; None: the candidate is to be left alone.

        Whoever gets a trial says how it went, whatever happens: a half-open candidate gets no
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
        """Seconds until it may be asked; 0 when it may be now, or when a trial ends."""
        circuit = self._circuits.get(candidate)
        if circuit is None or circuit.cooled_until_s is None:
            return 0.0
        return max(0.0, circuit.cooled_until_s - self._clock())

    def in_cooldown(self) -> set[str]:
        """Names of the candidates that are in cool-down now."""
        now_s = self._clock()
        return {
            name
            for name, circuit in self._circuits.items()
            if circuit.cooled_until_s is not None and now_s < circuit.cooled_until_s
        }

    def state(self, candidate: str) -> State:
        """Its state now."""
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
        """Take note of a sign of life."""
        circuit.silent_s, circuit.counted_until_s = 0.0, self._clock()

    def count_silence(self, circuit: _Circuit, since_s: float) -> None:
        """Take note of a request given up unanswered; a failure when such have waited too long."""
        now_s = self._clock()
        circuit.silent_s += now_s - max(since_s, circuit.counted_until_s)
        circuit.counted_until_s = now_s
        if circuit.silent_s > self._options.attempt_timeout_s:
            self.count(circuit, CandidateFailure("timeout"))

    def count(self, circuit: _Circuit, failure: CandidateFailure) -> None:
        """Take note of a failure; cools the candidate when it is one too many."""
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
