"""The metrics of the endpoint by name, and the instruments that record them. Loads no Ray.

Ray exports every metric on each node's metrics port (``MetricsExportPort`` of ``ray.nodes()``,
whether or not there is a dashboard), with ``ray_`` before its name, the label ``WorkerId`` of the
process, and a delay of up to 10 s. It rebuilds a histogram's sum from the middles of its buckets:
counts and quantiles are exact, but a mean from the sum is only as precise as the buckets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

DURATION_BUCKETS_S = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600,
)  # fmt: skip
OVERHEAD_BUCKETS_S = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.25, 0.5, 1, 2, 5,
)  # fmt: skip
CONFIDENCE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as given to Ray, which exports it with ``ray_`` before it.
        kind: what Prometheus calls its type.
        description: what it counts, with its unit.
        labels: names of its labels.
        buckets: upper bounds of a histogram's buckets.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Instrument(Protocol):
    """Records values of one metric."""

    def record(self, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter, set a gauge, or observe in a histogram; labels are given in full."""


class Instruments(Protocol):
    """Creates the instruments of metrics."""

    def make(self, metric: Metric) -> Instrument:
        """Return the instrument of a metric; called once per metric and process."""


class RayInstruments:
    """Instruments whose values Ray exports; one update costs 2 to 3 microseconds."""

    def make(self, metric: Metric) -> Instrument:
        """See :class:`Instruments`."""
        from ray.util import metrics

        if metric.kind == "histogram":
            made = metrics.Histogram(
                metric.name, metric.description, list(metric.buckets), metric.labels
            )
            return _RayInstrument(made.observe)
        if metric.kind == "counter":
            counter = metrics.Counter(metric.name, metric.description, metric.labels)
            return _RayInstrument(counter.inc)
        return _RayInstrument(metrics.Gauge(metric.name, metric.description, metric.labels).set)


class _RayInstrument:
    def __init__(self, update: Any) -> None:
        self._update = update

    def record(self, value: float, labels: Mapping[str, str]) -> None:
        self._update(float(value), labels)  # Ray refuses numbers of other kinds, such as float32


REQUESTS = Metric(
    "modelsat_requests_total",
    "counter",
    "Finished requests, by the model that answered (or was requested) and HTTP status.",
    ("endpoint", "model", "status"),
)
ERRORS = Metric(
    "modelsat_errors_total",
    "counter",
    "Requests that ended with an error, by its OpenAI code.",
    ("endpoint", "code"),
)
REJECTIONS = Metric(
    "modelsat_rejected_total",
    "counter",
    "Requests refused with 429 or 503 before any candidate was tried.",
    ("endpoint", "code"),
)
REQUEST_DURATION = Metric(
    "modelsat_request_duration_seconds",
    "histogram",
    "Time from a request to the end of its answer, seconds.",
    ("endpoint", "model"),
    DURATION_BUCKETS_S,
)
FIRST_BYTE = Metric(
    "modelsat_time_to_first_byte_seconds",
    "histogram",
    "Time from a request to the first byte of its answer, seconds; successful requests.",
    ("endpoint", "model"),
    DURATION_BUCKETS_S,
)
OVERHEAD = Metric(
    "modelsat_routing_overhead_seconds",
    "histogram",
    "Gateway overhead before the first byte, upstream wait excluded, seconds.",
    ("endpoint", "routed"),
    OVERHEAD_BUCKETS_S,
)
ROUTING_DURATION = Metric(
    "modelsat_routing_duration_seconds",
    "histogram",
    "Time until a candidate was chosen, seconds; routed requests.",
    (),
    OVERHEAD_BUCKETS_S,
)
ATTEMPTS = Metric(
    "modelsat_attempts_total",
    "counter",
    "Attempts, by candidate and outcome.",
    ("model", "outcome"),
)
ATTEMPT_DURATION = Metric(
    "modelsat_upstream_duration_seconds",
    "histogram",
    "Time until a candidate's first byte or failure, seconds.",
    ("model",),
    DURATION_BUCKETS_S,
)
FALLBACKS = Metric(
    "modelsat_fallbacks_total",
    "counter",
    "Fallbacks to the next candidate, by the candidate that failed and the kind of failure.",
    ("from_model", "kind"),
)
SELECTIONS = Metric(
    "modelsat_selections_total",
    "counter",
    "Candidates chosen for routed requests, by reason.",
    ("model", "reason"),
)
CONFIDENCE = Metric(
    "modelsat_selection_confidence",
    "histogram",
    "P(correct) of the chosen candidate, 0 to 1; routed requests.",
    (),
    CONFIDENCE_BUCKETS,
)
TOKENS = Metric(
    "modelsat_tokens_total",
    "counter",
    "Tokens as candidates count them; direction is input or output.",
    ("model", "direction"),
)
COST = Metric(
    "modelsat_cost_usd_total",
    "counter",
    "Cost of the tokens, US dollars; candidates with a price.",
    ("model",),
)
IN_FLIGHT = Metric("modelsat_in_flight", "gauge", "Requests in flight.")
QUEUED = Metric("modelsat_queued", "gauge", "Requests that wait for a slot.")
CANDIDATE_STATE = Metric(
    "modelsat_candidate_state",
    "gauge",
    "0: healthy; 1: half-open; 2: in cool-down. Absent outside the zoo.",
    ("model",),
)
CACHE_HITS = Metric(
    "modelsat_score_cache_hits_total", "counter", "Decisions whose scores were cached."
)
CACHE_MISSES = Metric(
    "modelsat_score_cache_misses_total", "counter", "Decisions whose scores were computed."
)
SESSIONS = Metric("modelsat_active_sessions", "gauge", "Sessions remembered.")
ZOO_VERSION = Metric(
    "modelsat_zoo_version", "gauge", "Version of the zoo that this replica follows."
)
LOG_DROPPED = Metric(
    "modelsat_routing_log_dropped_total",
    "counter",
    "Decisions missing in the routing log because its folder could not be written.",
)
SCORER_BATCH = Metric(
    "modelsat_scorer_batch_size",
    "histogram",
    "Prompts scored in one pass.",
    (),
    BATCH_BUCKETS,
)
SCORER_DURATION = Metric(
    "modelsat_scorer_duration_seconds",
    "histogram",
    "Time of one scoring pass over all candidates, seconds.",
    (),
    OVERHEAD_BUCKETS_S,
)

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
