"""The measurements of the serving benchmark; those that are compared run once in every round."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.benchmarks.report.spread import Spread
from tests.benchmarks.served_endpoint import Endpoint, free_port, new_key, served
from tests.benchmarks.serving.artifacts import (
    candidate_name,
    make_tasks,
    write_served_zoo,
)
from tests.benchmarks.serving.load import Load, LoadResult, run_load
from tests.benchmarks.serving.processes import (
    LITELLM_SERVERS,
    litellm,
    running_upstream_process,
)
from tests.benchmarks.serving.scorer_alone import DTYPE, ScorerFigures, measure_scorer
from tests.support.serve_app.lite_router import write_lite_router

ZOO_SIZES = (5, 100)
# The last is measured just before the scorer alone, with which it is compared: the speed of a
# shared machine changes from minute to minute.
CONCURRENCY_LEVELS = (1, 5, 10, 50, 20)
PINNED_CONCURRENCY = 20
OURS = "Model-SAT"
NUM_PROCESSES = 2  # on the request path: proxy and ingress, or workers of LiteLLM
SCORER_THREADS = 2
PERCENTILES = (50, 95)
_NUM_SEQUENTIAL = 150
_NUM_CACHED_PROMPTS = 50
_DURATION_S = 6.0
_WARMUP_S = 2.0

Echo = Callable[[str], None]


def _by_percentile() -> dict[int, Spread]:
    return {percent: Spread() for percent in PERCENTILES}


@dataclass
class Sequential:
    """Figures of one kind of request at concurrency 1.

    Attributes:
        latency_ms: latency by percentile.
        overhead_ms: percentile of the latency less that of direct requests to the upstream.
        scored_fraction: share of requests whose candidate was chosen by scores.
    """

    latency_ms: dict[int, Spread] = field(default_factory=_by_percentile)
    overhead_ms: dict[int, Spread] = field(default_factory=_by_percentile)
    scored_fraction: Spread = field(default_factory=Spread)


@dataclass
class Throughput:
    """Figures of one kind of request at one concurrency."""

    requests_per_s: Spread = field(default_factory=Spread)
    scored_per_s: Spread = field(default_factory=Spread)
    p50_ms: Spread = field(default_factory=Spread)
    p99_ms: Spread = field(default_factory=Spread)
    statuses: dict[str, int] = field(default_factory=dict)

    def add(self, result: LoadResult) -> None:
        """Append the result of a round."""
        self.requests_per_s.add(result.requests_per_s)
        self.scored_per_s.add(result.scored_per_s)
        self.p50_ms.add(result.percentile_ms(50))
        self.p99_ms.add(result.percentile_ms(99))
        for status, count in result.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count

    @property
    def ok_fraction(self) -> float:
        """Share of requests answered with status 200, all rounds together."""
        return self.statuses.get("200", 0) / max(1, sum(self.statuses.values()))


@dataclass
class Figures:
    """All measured figures.

    Attributes:
        sequential: requests at concurrency 1: ``direct``, ``auto-5``, ``cached-5``, ``auto-100``...
        pinned: requests for a named model at PINNED_CONCURRENCY, by server: OURS, and LiteLLM on
            each HTTP server.
        auto: requests with distinct prompts, by concurrency.
        decision_ms: time of a decision by the scorer alone, by number of candidates.
        texts_per_s: rate of the scorer alone, by number of concurrent requests.
        scorer_share: requests scored per second at the last concurrency, as a share of the best
            rate of the scorer alone in the same round.
    """

    sequential: dict[str, Sequential] = field(default_factory=dict)
    pinned: dict[str, Throughput] = field(default_factory=dict)
    auto: dict[int, Throughput] = field(default_factory=dict)
    decision_ms: dict[int, Spread] = field(default_factory=dict)
    texts_per_s: dict[int, Spread] = field(default_factory=dict)
    scorer_share: Spread = field(default_factory=Spread)


class Bench:
    """Runs the rounds."""

    def __init__(self, work: Path, echo: Echo) -> None:
        """Write the router.

        Args:
            work: folder of all files; emptied first.
            echo: receives progress.
        """
        shutil.rmtree(work, ignore_errors=True)
        self._work, self._echo = work, echo
        self._seed = 0
        self.figures = Figures()
        echo("making the router")
        write_lite_router(work / "router", make_tasks())

    def run(self, num_rounds: int) -> Figures:
        """Measure everything ``num_rounds`` times."""
        with running_upstream_process() as upstream:
            for number in range(num_rounds):
                for size in ZOO_SIZES:
                    self._echo(f"round {number + 1} of {num_rounds}: {size} candidates")
                    self._measure_served(number, size, upstream)
                    if size == ZOO_SIZES[0]:
                        self._echo(f"round {number + 1} of {num_rounds}: the scorer alone")
                        self._measure_scorer()
                for server in LITELLM_SERVERS:
                    self._echo(f"round {number + 1} of {num_rounds}: LiteLLM on {server}")
                    with litellm(self._work / server, upstream, NUM_PROCESSES, server) as peer:
                        self._measure_pinned(f"LiteLLM, {server}", peer)
        return self.figures

    def _measure_served(self, number: int, size: int, upstream: Endpoint) -> None:
        folder, key = self._work / f"round-{number}-{size}", new_key()
        config = write_served_zoo(
            folder,
            self._work / "router",
            size,
            upstream.url,
            key,
            port=free_port(),
            scorer={"num_threads": SCORER_THREADS, "dtype": DTYPE},
        )
        with served(config, key) as endpoint:
            direct = self._sequential(upstream, model=candidate_name(0))
            self._add_sequential("direct", direct, direct)
            self._add_sequential(f"auto-{size}", self._sequential(endpoint), direct)
            cached = self._sequential(endpoint, num_prompts=_NUM_CACHED_PROMPTS)
            self._add_sequential(f"cached-{size}", cached, direct)
            if size == ZOO_SIZES[0]:
                self._measure_pinned(OURS, endpoint)
                for concurrency in CONCURRENCY_LEVELS:
                    result = self._throughput(endpoint, "auto", concurrency)
                    self.figures.auto.setdefault(concurrency, Throughput()).add(result)

    def _sequential(
        self, endpoint: Endpoint, model: str = "auto", num_prompts: int | None = None
    ) -> LoadResult:
        load = Load(
            url=endpoint.url,
            headers=endpoint.headers,
            model=model,
            seed=self._new_seed(),
            duration_s=60,
            warmup_s=_WARMUP_S,
            num_requests=_NUM_SEQUENTIAL,
        )
        if num_prompts is not None:
            # Send all once, so that the measured ones are cache hits.
            load = replace(load, num_prompts=num_prompts)
            run_load(replace(load, num_requests=num_prompts, warmup_s=0.0))
        return run_load(load)

    def _throughput(self, endpoint: Endpoint, model: str, concurrency: int) -> LoadResult:
        return run_load(
            Load(
                url=endpoint.url,
                headers=endpoint.headers,
                model=model,
                seed=self._new_seed(),
                concurrency=concurrency,
                duration_s=_DURATION_S,
                warmup_s=_WARMUP_S,
            )
        )

    def _measure_pinned(self, name: str, endpoint: Endpoint) -> None:
        result = self._throughput(endpoint, candidate_name(0), PINNED_CONCURRENCY)
        self.figures.pinned.setdefault(name, Throughput()).add(result)

    def _measure_scorer(self) -> None:
        made: ScorerFigures = measure_scorer(
            self._work / "router", ZOO_SIZES[0], SCORER_THREADS, self._new_seed()
        )
        for measured, spreads in (
            (made.decision_ms, self.figures.decision_ms),
            (made.texts_per_s, self.figures.texts_per_s),
        ):
            for key, value in measured.items():
                spreads.setdefault(key, Spread()).add(value)
        served_per_s = self.figures.auto[CONCURRENCY_LEVELS[-1]].scored_per_s.values[-1]
        self.figures.scorer_share.add(served_per_s / max(made.texts_per_s.values()))

    def _add_sequential(self, name: str, result: LoadResult, direct: LoadResult) -> None:
        if result.ok_fraction < 1:
            self._echo(f"{name}: {result.statuses}")
        made = self.figures.sequential.setdefault(name, Sequential())
        made.scored_fraction.add(result.num_scored / max(1, sum(result.statuses.values())))
        for percent in PERCENTILES:
            latency_ms = result.percentile_ms(percent)
            made.latency_ms[percent].add(latency_ms)
            made.overhead_ms[percent].add(latency_ms - direct.percentile_ms(percent))

    def _new_seed(self) -> int:
        self._seed += 1
        return self._seed
