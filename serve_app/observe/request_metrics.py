"""Metrics of finished requests and of the replica's state, with bounded labels.

No label comes from a client: a model is one of the followed zoo's candidates or a routing
profile, and anything else is ``other``.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from serve_app.contracts.request_record import RequestRecord
from serve_app.contracts.zoo_state import ZooState
from serve_app.observe import instruments as named
from serve_app.observe.instruments import Instrument, Instruments, Metric, RayInstruments

OTHER = "other"
CLIENT_LEFT = 499  # status of a request whose client disconnected
SAMPLING_INTERVAL_S = 5.0  # Ray exports every 10 s
_ENDPOINTS = frozenset({"chat", "completions", "embeddings", "route"})
_STATUSES = frozenset({*(int(status) for status in HTTPStatus), CLIENT_LEFT})
# Recorded in other processes; see part_metrics.
_ELSEWHERE = frozenset({named.SCORER_BATCH, named.SCORER_DURATION, named.SESSIONS})
# Reasons, codes and outcomes are our own words, but some may come from a candidate.
_MAX_WORDS = 64


@dataclass(frozen=True)
class Readings:
    """The state of a replica at one moment.

    Attributes:
        in_flight: requests in flight.
        queued: requests that wait for a slot.
        score_cache_hits: hits since the start.
        score_cache_misses: misses since the start.
        routing_log_dropped: decisions lost to the routing log since the start.
        candidate_states: 0 healthy, 1 half-open, 2 in cool-down, by candidate; absent
            candidates are healthy.
    """

    in_flight: int = 0
    queued: int = 0
    score_cache_hits: int = 0
    score_cache_misses: int = 0
    routing_log_dropped: int = 0
    candidate_states: Mapping[str, int] = field(default_factory=dict)


class Metrics:
    """Records metrics of finished requests, as an observer, and the gauges of the replica."""

    def __init__(
        self,
        zoo: Callable[[], ZooState],
        profiles: Collection[str],
        instruments: Instruments | None = None,
    ) -> None:
        """Create the instruments; one object of this class per process.

        Args:
            zoo: the current state of the zoo.
            profiles: model names that ask for routing.
            instruments: record the values; Ray's by default.
        """
        self._models = _ModelLabels(zoo, profiles)
        self._codes, self._reasons, self._outcomes = _Words(), _Words(), _Words()
        makers = instruments or RayInstruments()
        self._instruments: dict[Metric, Instrument] = {
            metric: makers.make(metric) for metric in named.METRICS if metric not in _ELSEWHERE
        }
        self._last = Readings()
        self._reported: frozenset[str] = frozenset()

    def finished(self, record: RequestRecord) -> None:
        """Record a request; see :class:`serve_app.contracts.request_record.Observer`."""
        endpoint = record.endpoint if record.endpoint in _ENDPOINTS else OTHER
        model = self._models.label(record.candidate or record.requested)
        status = str(record.status) if record.status in _STATUSES else OTHER
        self._add(named.REQUESTS, endpoint=endpoint, model=model, status=status)
        if record.status >= 400 or record.error_code is not None:
            self._count_error(record, endpoint)
        self._observe_times(record, endpoint, model)
        self._count_attempts(record)
        if record.routed and record.attempts:
            self._count_selection(record)
        self._count_usage(record, model)

    def sample(self, readings: Readings) -> None:
        """Set the gauges, and add to counters what they gained since the last readings."""
        last, self._last = self._last, readings
        self._set(named.IN_FLIGHT, readings.in_flight)
        self._set(named.QUEUED, readings.queued)
        self._add(named.CACHE_HITS, readings.score_cache_hits - last.score_cache_hits)
        self._add(named.CACHE_MISSES, readings.score_cache_misses - last.score_cache_misses)
        self._add(named.LOG_DROPPED, readings.routing_log_dropped - last.routing_log_dropped)
        zoo = self._models.zoo()
        self._set(named.ZOO_VERSION, zoo.version)
        names = frozenset(zoo.zoo.names)
        for name in names:
            self._set(named.CANDIDATE_STATE, readings.candidate_states.get(name, 0), model=name)
        for name in self._reported - names:
            # Ray keeps exporting the last value of a gauge; NaN ends the series.
            self._set(named.CANDIDATE_STATE, math.nan, model=name)
        self._reported = names

    def _count_error(self, record: RequestRecord, endpoint: str) -> None:
        code = self._codes.label(record.error_code or f"http_{record.status}")
        self._add(named.ERRORS, endpoint=endpoint, code=code)
        if record.status in (429, 503) and not record.attempts:
            self._add(named.REJECTIONS, endpoint=endpoint, code=code)

    def _observe_times(self, record: RequestRecord, endpoint: str, model: str) -> None:
        if record.duration_s is not None:
            self._observe(named.REQUEST_DURATION, record.duration_s, endpoint=endpoint, model=model)
        if record.first_byte_s is None or record.overhead_s is None or record.status >= 400:
            return
        waited_s = record.first_byte_s - record.started_s
        self._observe(named.FIRST_BYTE, waited_s, endpoint=endpoint, model=model)
        routed = "true" if record.routed else "false"
        self._observe(named.OVERHEAD, record.overhead_s, endpoint=endpoint, routed=routed)

    def _count_attempts(self, record: RequestRecord) -> None:
        for place, (candidate, outcome, seconds) in enumerate(record.attempts, start=1):
            model, kind = self._models.label(candidate), self._outcomes.label(outcome)
            self._add(named.ATTEMPTS, model=model, outcome=kind)
            self._observe(named.ATTEMPT_DURATION, seconds, model=model)
            if place < len(record.attempts):
                self._add(named.FALLBACKS, from_model=model, kind=kind)

    def _count_selection(self, record: RequestRecord) -> None:
        chosen = self._models.label(record.attempts[0][0])
        reason = self._reasons.label(record.reason or OTHER)
        self._add(named.SELECTIONS, model=chosen, reason=reason)
        self._observe(named.ROUTING_DURATION, record.routing_s)
        if record.confidence is not None and math.isfinite(record.confidence):
            self._observe(named.CONFIDENCE, record.confidence)

    def _count_usage(self, record: RequestRecord, model: str) -> None:
        self._add(named.TOKENS, record.prompt_tokens or 0, model=model, direction="input")
        self._add(named.TOKENS, record.completion_tokens or 0, model=model, direction="output")
        self._add(named.COST, record.cost_usd or 0.0, model=model)

    def _add(self, metric: Metric, value: float = 1, **labels: str) -> None:
        if value > 0:  # Ray refuses to add nothing
            self._instruments[metric].record(value, labels)

    def _observe(self, metric: Metric, value: float, **labels: str) -> None:
        self._instruments[metric].record(value, labels)

    _set = _observe


async def sample_regularly(
    metrics: Metrics, read: Callable[[], Readings], interval_s: float = SAMPLING_INTERVAL_S
) -> None:
    """Set the gauges at a regular interval, until cancelled."""
    while True:
        metrics.sample(read())
        await asyncio.sleep(interval_s)


class _ModelLabels:
    """Model names that may be labels: candidates of the zoo, and routing profiles."""

    def __init__(self, zoo: Callable[[], ZooState], profiles: Collection[str]) -> None:
        self.zoo = zoo
        self._profiles = frozenset(profiles)
        self._version: int | None = None
        self._known: frozenset[str] = frozenset()

    def label(self, name: str | None) -> str:
        state = self.zoo()
        if state.version != self._version:
            self._known = self._profiles.union(state.zoo.names)
            self._version = state.version
        return name if name is not None and name in self._known else OTHER


class _Words:
    """Labels from a bounded set of words; further words become ``other``."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, word: str) -> str:
        if word in self._known:
            return word
        if len(self._known) >= _MAX_WORDS or len(word) > _MAX_WORDS:
            return OTHER
        self._known.add(word)
        return word
