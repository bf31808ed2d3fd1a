"""The configuration of a served zoo. Imports no Ray, no torch, no web framework."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from modelsat.chats import TextRule
from modelsat.config import AbsolutePath, FrozenConfig
from modelsat.routing.constraints import Constraints, Probability
from modelsat.zoo.candidate import AUTO_MODEL

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ScorerOptions(FrozenConfig):
    """The deployment that scores prompts against all cards.

    Attributes:
        num_replicas: processes that hold the router.
        num_cpus: CPUs that Ray books for each.
        num_gpus: GPUs that Ray books for each; above 0, the router runs on one.
        num_threads: cores of each on a CPU. A prompt that comes alone is scored by all of them,
            prompts that come together by batches of one core each; Ray alone would set
            floor(num_cpus).
        dtype: what the router computes in. ``auto`` is bfloat16 where the processor computes in it
            natively, else float32: bfloat16 is faster there, and probabilities of ``lite`` differ
            by 0.001 on average, 0.01 at most.
        max_batch_size: most prompts of one forward pass. In a larger batch every prompt waits
            longer, and a CPU gains nothing: 4 prompts of 128 tokens take 0.82 of the time of 4
            passes of one, 16 take the same share. On a GPU, 32.
        batch_wait_timeout_s: how long an incomplete batch waits for more prompts; a prompt that
            arrives alone is delayed by as much. 0: a batch holds the prompts that arrived while
            the previous batch was scored.
        max_ongoing_requests: requests a replica holds at a time; batches form among them.
    """

    num_replicas: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1, gt=0)
    num_gpus: float = Field(default=0, ge=0)
    num_threads: int = Field(default=2, ge=1)
    dtype: Literal["float32", "bfloat16", "auto"] = "auto"
    max_batch_size: int = Field(default=4, ge=1)
    batch_wait_timeout_s: float = Field(default=0, ge=0)
    max_ongoing_requests: int = Field(default=256, ge=1)


class IngressOptions(FrozenConfig):
    """The deployment that speaks HTTP.

    Attributes:
        num_replicas: processes that accept requests.
        num_cpus: CPUs that Ray books for each.
        max_in_flight: requests that one replica works on at a time, open streams included.
        max_queued: requests that wait for a place; more are refused with 503.
        queue_timeout_s: longest wait for a place, then 503.
        max_body_bytes: largest request body, then 413.
        body_timeout_s: longest time for a body to arrive once its request has a place, then 408;
            a client that dawdles would hold the place otherwise.
        drain_timeout_s: how long a replica that is stopped may finish what it works on.
    """

    num_replicas: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=0.5, gt=0)
    max_in_flight: int = Field(default=256, ge=1)
    max_queued: int = Field(default=256, ge=0)
    queue_timeout_s: Seconds = 10
    max_body_bytes: int = Field(default=8 * 2**20, ge=1024)
    body_timeout_s: Seconds = 30
    drain_timeout_s: Seconds = 30


class CandidateOptions(FrozenConfig):
    """Bounds of every local candidate that states none in its own ``deployment_config``.

    Ray's LLM deployments accept and scale for a billion requests at a time by default, so
    without these nothing is ever refused and nothing ever scales up.

    Attributes:
        max_ongoing_requests: requests a replica holds at a time.
        max_queued_requests: requests that wait per ingress replica; more are refused.
        target_ongoing_requests: requests per replica at which one more is started.
        drain_timeout_s: how long a replica that is stopped may finish what it works on.
    """

    max_ongoing_requests: int = Field(default=128, ge=1)
    max_queued_requests: int = Field(default=256, ge=-1)
    target_ongoing_requests: float = Field(default=16, gt=0)
    drain_timeout_s: Seconds = 60


class SessionOptions(FrozenConfig):
    """Sessions: requests with the same ``x-session-id`` stay on their candidate.

    Attributes:
        margin: a session changes its candidate only if another's P(correct) is higher by more than
            this, or if the candidate cannot answer.
        ttl_s: how long a session is stored after its last request.
        max_sessions: most sessions stored (about 300 bytes each); the least recently used is
            removed first.
        timeout_s: how long a request waits for the candidate of its session; then it is routed
            without the session.
    """

    margin: Probability = 0.1
    ttl_s: Seconds = 3600
    max_sessions: int = Field(default=100_000, ge=1)
    timeout_s: Seconds = 0.2


class RoutingOptions(FrozenConfig):
    """Routing of requests for ``auto`` and other routing profiles.

    Attributes:
        profiles: model names that ask for routing, each with what it accepts by default; a
            request's own fields take precedence. ``auto`` exists whether listed or not.
        text: which messages are scored: the last user message, all user messages, or
            all messages (:func:`modelsat.chats.text_to_score` has the rules in full).
        turns_chars: most characters that are scored if ``text`` is one of the latter two; the
            newest messages that fit are kept. The default is about what the router reads: 256
            tokens of 4 characters.
        scorer_timeout_s: how long a request waits for its scores; then the default answers.
        scorer_failures: failures of the scorer in a row, timeouts among them, after which
            requests no longer wait for it.
        scorer_pause_s: interval at which the scorer is tried then, by a request that does not wait.
        default_candidate: candidate that answers if there are no scores, provided that it has a
            card and the request admits it; None: the candidate with the best card.
        cache_cells: bound of the scores that an ingress replica caches, in cells of 4 bytes:
            one for each score and 100 for each prompt. The default takes 64 MiB and holds 80,000
            prompts for 100 candidates. 0 caches none.
        cold_start_tolerance: a candidate without a running replica is started, and meanwhile a
            running candidate answers if its P(correct) is at most this much lower. None: the
            request waits for the cold candidate.
        sessions: when sessions change their candidate, and how long they are stored.
    """

    profiles: dict[str, Constraints] = Field(default={}, validate_default=True)
    text: TextRule = "last_user"
    turns_chars: int = Field(default=1024, ge=1)
    scorer_timeout_s: Seconds = 2
    scorer_failures: int = Field(default=3, ge=1)
    scorer_pause_s: Seconds = 5
    default_candidate: str | None = None
    cache_cells: int = Field(default=16_000_000, ge=0)
    cold_start_tolerance: Probability | None = 0.05
    sessions: SessionOptions = SessionOptions()

    @field_validator("profiles")
    @classmethod
    def _with_auto(cls, profiles: dict[str, Constraints]) -> dict[str, Constraints]:
        return {AUTO_MODEL: Constraints(), **profiles}


class FallbackOptions(FrozenConfig):
    """Fallback after a candidate fails before the first byte of its answer.

    Attributes:
        max_attempts: candidates tried for one request, the first included.
        connect_timeout_s: longest time to connect to a remote candidate.
        attempt_timeout_s: longest wait for the first byte of one candidate's stream; the
            request's own deadline holds in any case.
        answer_timeout_s: longest wait for an answer that is not streamed, whose first byte comes
            when all of it is generated.
        stream_idle_timeout_s: longest pause inside a streamed answer before it is ended with an
            error event.
        failures_to_cool: consecutive failures that put a candidate in cool-down; a 429, and any
            failure with ``Retry-After``, does so at once.
        cooldown_s: initial cool-down; doubles with every failed probe. The candidate's
            ``Retry-After`` takes precedence.
        max_cooldown_s: maximum cool-down.
    """

    max_attempts: int = Field(default=3, ge=1)
    connect_timeout_s: Seconds = 5
    attempt_timeout_s: Seconds = 60
    answer_timeout_s: Seconds = 300
    stream_idle_timeout_s: Seconds = 60
    failures_to_cool: int = Field(default=3, ge=1)
    cooldown_s: Seconds = 5
    max_cooldown_s: Seconds = 60


class SecurityOptions(FrozenConfig):
    """Authentication, and who can reach the endpoint.

    Attributes:
        keys: file of API keys (see ``modelsat keys``), re-read when it changes. None: every client
            that reaches the port may send requests, and the administration is off.
        allow_anonymous: states that an endpoint without keys may listen beyond this machine.
        cors_origins: web origins whose pages may call the endpoint; none by default.
    """

    keys: AbsolutePath | None = None
    allow_anonymous: bool = False
    cors_origins: tuple[str, ...] = ()

    def refusal(self, host: str) -> str | None:
        """Why an endpoint that listens on an address would be open by accident; None: it is not."""
        if _is_loopback(host) or self.keys or self.allow_anonymous:
            return None
        return (
            f"host {host} can be reached from other machines and there are no API keys; "
            "name a file of keys in security.keys, or set security.allow_anonymous: true"
        )


class RoutingLogOptions(FrozenConfig):
    """A table of what was decided, for ``modelsat evaluate``.

    Attributes:
        folder: where its parquet files go; None writes none.
        with_prompts: whether the scored text is written too. It is private: off by default.
        rows_per_file: decisions gathered before a file is written.
        flush_interval_s: longest time a decision waits for its file.
    """

    folder: AbsolutePath | None = None
    with_prompts: bool = False
    rows_per_file: int = Field(default=1000, ge=1)
    flush_interval_s: Seconds = 30


class ObservabilityOptions(FrozenConfig):
    """Logs, traces and routing log of requests, in addition to the metrics that Ray exports.

    Attributes:
        request_log: whether a JSON line per request is logged; it holds no text of a prompt.
        otlp_endpoint: URL of a collector (``http://host:4318``) that takes traces by OTLP over
            HTTP, at ``/v1/traces`` below it. What it asks for beside, such as a key, stands in the
            environment variable ``OTEL_EXPORTER_OTLP_HEADERS``. None makes no traces.
        trace_sample_fraction: share of requests traced when the caller sends no decision.
        routing_log: table of decisions.
    """

    request_log: bool = True
    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://")
    trace_sample_fraction: float = Field(default=1.0, ge=0, le=1)
    routing_log: RoutingLogOptions = RoutingLogOptions()


class RegistryOptions(FrozenConfig):
    """Storage of the served zoo, and how fast replicas follow its changes.

    Attributes:
        folder: versions of the zoo, and how each engine was started. On several machines, on
            storage that all of them see. One endpoint uses it. A restart continues with the
            newest version unless the files that the configuration names have changed since.
        agreement_timeout_s: how long a change waits until every replica works by it; then it
            stands all the same, and says who lags. Replicas silent for 8 s are not waited for.
        num_versions: versions kept for roll-back.
        max_accuracy_shift: standard errors by which a candidate's accuracy may differ from its
            earlier card before the new one is refused. 5 of them are about 11 points at the
            1,000 answers of an aptitude test.
    """

    folder: AbsolutePath = Field(default=Path("runs/registry"), validate_default=True)
    agreement_timeout_s: Seconds = 10
    num_versions: int = Field(default=20, ge=2)
    max_accuracy_shift: float = Field(default=5, gt=0)


class ServeConfig(FrozenConfig):
    """One served zoo.

    Attributes:
        zoo: zoo file.
        cards: cards artifact; holds a card of every candidate of the zoo that is to be routed
            to. A candidate without one can be named by clients, and is never chosen.
        router: router directory.
        host: address to listen on; 0.0.0.0 is all of them.
        port: port to listen on.
        request_timeout_s: longest time from a request to the end of its answer.
        startup_timeout_s: longest time until everything is ready.
        cluster_cpus: logical CPUs of a Ray cluster that this run has to start itself; more
            than there are cores, because many small processes each book one.
        scorer: the deployment that scores prompts.
        ingress: the deployment that speaks HTTP.
        candidates: bounds of every local candidate that states none.
        routing: how requests find their candidate.
        fallback: what happens when a candidate fails.
        security: who may ask.
        observability: logs, traces and routing log of requests.
        registry: the zoo as data that changes while it is served.
    """

    zoo: AbsolutePath
    cards: AbsolutePath
    router: AbsolutePath
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    request_timeout_s: Seconds = 600
    startup_timeout_s: Seconds = 900
    cluster_cpus: int = Field(default=32, ge=1)
    scorer: ScorerOptions = ScorerOptions()
    ingress: IngressOptions = IngressOptions()
    candidates: CandidateOptions = CandidateOptions()
    routing: RoutingOptions = RoutingOptions()
    fallback: FallbackOptions = FallbackOptions()
    security: SecurityOptions = SecurityOptions()
    observability: ObservabilityOptions = ObservabilityOptions()
    registry: RegistryOptions = RegistryOptions()

    @model_validator(mode="after")
    def _not_open_by_accident(self) -> "ServeConfig":
        refusal = self.security.refusal(self.host)
        if refusal is not None:
            raise ValueError(refusal)
        return self

    @property
    def url(self) -> str:
        """Base URL of the OpenAI-compatible endpoint, as a client on this machine writes it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}/v1"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
