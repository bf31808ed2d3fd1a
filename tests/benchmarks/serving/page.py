"""Limits of the serving figures, and the page that shows both."""

from collections.abc import Sequence
from pathlib import Path

from modelsat.artifacts.store import write_text
from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most
from tests.benchmarks.report.page import render_page
from tests.benchmarks.report.spread import spread_text
from tests.benchmarks.serving import measures
from tests.benchmarks.serving.measures import Figures, Throughput

_OVERHEAD_MS = {"auto": {50: 60, 95: 120}, "cached": {50: 25, 95: 60}}
_DECISION_FACTORS = {100: 2.5, 1000: 10}
_PEER_FACTOR = 1.3
_SCORER_SHARE = 0.7
_OK_FRACTION = 0.99
_ALL_ANSWERED_UP_TO = 20
_DELIBERATE = {"200", "429", "503"}
_WORDS = {"auto": "distinct prompts", "cached": "score-cache hits"}


def check_figures(figures: Figures) -> list[LimitCheck]:
    """Check every limit, with the median of the rounds."""
    return [
        *_overhead_checks(figures),
        *_decision_checks(figures),
        *_peer_checks(figures),
        *_throughput_checks(figures),
    ]


def write_page(
    figures: Figures,
    checks: Sequence[LimitCheck],
    page: Path,
    *,
    command: str,
    litellm_version: str,
) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.serving",
        "serving.md.j2",
        {"spread": spread_text, "statuses": _statuses},
        command=command,
        checks=checks,
        figures=figures,
        litellm_version=litellm_version,
        zoo_sizes=measures.ZOO_SIZES,
        num_processes=measures.NUM_PROCESSES,
        pinned_concurrency=measures.PINNED_CONCURRENCY,
        words=_WORDS,
    )
    write_text(page, text)


def _overhead_checks(figures: Figures) -> list[LimitCheck]:
    checks = []
    for kind, limits in _OVERHEAD_MS.items():
        for size in measures.ZOO_SIZES:
            overhead_ms = figures.sequential[f"{kind}-{size}"].overhead_ms
            for percent, limit_ms in limits.items():
                what = f"overhead of auto, {_WORDS[kind]}, {size} candidates, p{percent}, ms"
                checks.append(at_most(what, overhead_ms[percent].median, limit_ms))
    routed = [one for name, one in figures.sequential.items() if name != "direct"]
    scored = min(one.scored_fraction.low for one in routed)
    what = "auto, concurrency 1: share chosen by scores, smallest"
    return [*checks, at_least(what, scored, _OK_FRACTION, 3)]


def _decision_checks(figures: Figures) -> list[LimitCheck]:
    one_ms = figures.decision_ms[1].median
    return [
        at_most(
            f"one decision over {size} candidates, relative to 1 candidate",
            figures.decision_ms[size].median / one_ms,
            factor,
            2,
        )
        for size, factor in _DECISION_FACTORS.items()
    ]


def _peer_checks(figures: Figures) -> list[LimitCheck]:
    ours = figures.pinned[measures.OURS]
    theirs = [one for name, one in figures.pinned.items() if name != measures.OURS]
    best_rate = max(one.requests_per_s.median for one in theirs)
    best_p99_ms = min(one.p99_ms.median for one in theirs)
    factor = ours.requests_per_s.median / best_rate
    return [
        at_least("pinned, concurrency 20: requests/s, times LiteLLM's", factor, _PEER_FACTOR, 2),
        at_most(
            "pinned, concurrency 20: p99, ms (limit: LiteLLM's)", ours.p99_ms.median, best_p99_ms
        ),
    ]


def _throughput_checks(figures: Figures) -> list[LimitCheck]:
    checks = [
        at_least(
            "auto, distinct prompts, concurrency 20: share of the scorer's own rate",
            figures.scorer_share.median,
            _SCORER_SHARE,
            2,
        )
    ]
    for concurrency, throughput in sorted(figures.auto.items()):
        if concurrency <= _ALL_ANSWERED_UP_TO:
            what = f"auto, concurrency {concurrency}: share answered 200"
            checks.append(at_least(what, throughput.ok_fraction, _OK_FRACTION, 3))
    others = sum(_num_undeliberate(throughput) for throughput in figures.auto.values())
    checks.append(
        at_most("auto, up to concurrency 50: errors other than 503 and 429", others, 0, 0)
    )
    return checks


def _num_undeliberate(throughput: Throughput) -> int:
    counts = throughput.statuses.items()
    return sum(count for status, count in counts if status not in _DELIBERATE)


def _statuses(throughput: Throughput) -> str:
    return ", ".join(f"{status}: {n}" for status, n in sorted(throughput.statuses.items()))
