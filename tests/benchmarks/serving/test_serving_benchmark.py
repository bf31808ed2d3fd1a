"""The serving benchmark counts what happened and holds it against the right limits."""

import pytest

from tests.benchmarks.report.spread import Spread
from tests.benchmarks.serving.load import Load, make_prompt, run_load
from tests.benchmarks.serving.measures import Figures, Sequential, Throughput
from tests.benchmarks.serving.page import check_figures, write_page
from tests.support.upstream import running_upstream

MESSAGES = "/v1/chat/completions"


def spread(*values):
    return Spread(list(values))


def throughput(rate, p99_ms=50.0, **statuses):
    answered = statuses or {"200": 100}
    made = Throughput(statuses={key.strip("_"): count for key, count in answered.items()})
    made.requests_per_s, made.scored_per_s = spread(rate), spread(rate)
    made.p50_ms, made.p99_ms = spread(p99_ms / 2), spread(p99_ms)
    return made


def sequential(p50_ms, p95_ms, scored_fraction=1.0):
    percentiles = {50: spread(p50_ms), 95: spread(p95_ms)}
    return Sequential(percentiles, percentiles, spread(1.0, scored_fraction))


def figures(**changes):
    names = [f"{kind}-{size}" for kind in ("auto", "cached") for size in (5, 100)]
    made = Figures(
        sequential={"direct": sequential(0.3, 0.4)} | {name: sequential(20, 40) for name in names},
        pinned={
            "Model-SAT": throughput(260, 90),
            "LiteLLM, uvicorn": throughput(150, 100),
            "LiteLLM, granian": throughput(200, 120),
        },
        auto={concurrency: throughput(30) for concurrency in (1, 5, 10, 20, 50)},
        decision_ms={1: spread(30, 10, 20), 100: spread(50), 1000: spread(200)},
        texts_per_s={1: spread(20), 20: spread(40)},
    )
    made.scorer_share = spread(0.75)
    for name, value in changes.items():
        if isinstance(value, Spread):
            setattr(made, name, value)
        else:
            getattr(made, name).update(value)
    return made


def missed(made):
    return [check.what for check in check_figures(made) if not check.is_met]


def test_figures_on_their_limits_are_met():
    assert missed(figures(decision_ms={1: spread(20)}, scorer_share=spread(0.7))) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"sequential": {"auto-100": sequential(60.5, 40)}},
            "distinct prompts, 100 candidates, p50",
        ),
        ({"sequential": {"cached-5": sequential(20, 61)}}, "hits, 5 candidates, p95"),
        ({"sequential": {"auto-5": sequential(20, 40, 0.98)}}, "share chosen by scores"),
        ({"decision_ms": {100: spread(51)}}, "over 100 candidates"),
        ({"decision_ms": {1000: spread(201)}}, "over 1000 candidates"),
        ({"pinned": {"Model-SAT": throughput(259, 90)}}, "times LiteLLM's"),
        ({"pinned": {"Model-SAT": throughput(260, 101)}}, "p99, ms"),
        ({"pinned": {"LiteLLM, uvicorn": throughput(201, 100)}}, "times LiteLLM's"),
        ({"scorer_share": spread(0.6, 0.69, 0.9)}, "scorer's own rate"),
        ({"auto": {10: throughput(30, _200=98, _503=2)}}, "concurrency 10: share answered 200"),
        ({"auto": {50: throughput(30, _200=98, _500=1)}}, "errors other than 503 and 429"),
    ],
)
def test_each_limit_is_missed_by_its_own_figure(changes, what):
    (one,) = missed(figures(**changes))
    assert what in one


def test_refusals_beyond_concurrency_20_are_no_error():
    assert missed(figures(auto={50: throughput(30, _200=50, _503=30, _429=20)})) == []


def test_the_page_shows_spread_and_what_was_missed(tmp_path):
    made = figures(pinned={"Model-SAT": throughput(100, 90)})
    page = tmp_path / "serving.md"
    write_page(made, check_figures(made), page, command="the command", litellm_version="1.2.3")
    text = page.read_text()
    assert "| 0.50 | 1.30 | **missed** |" in text
    assert "| 1 | 20.0 (10.0 to 30.0) | 1.00 |" in text
    assert "LiteLLM 1.2.3" in text


def test_prompts_are_distinct_and_repeatable():
    prompts = {make_prompt(seed, number, 126) for seed in range(3) for number in range(50)}
    assert len(prompts) == 150
    assert make_prompt(1, 7, 126) in prompts
    assert {len(prompt.split()) for prompt in prompts} == {126}


def test_the_generator_counts_answers_by_status(loopback):
    with running_upstream(statuses=(200, 503, 200, 429), status=500) as upstream:
        load = Load(url=upstream.url, warmup_s=0, num_requests=5, duration_s=30)
        result = run_load(load)
        assert result.statuses == {"200": 2, "503": 1, "429": 1, "500": 1}
        assert (len(result.latencies_ms), result.num_scored) == (2, 0)
        assert upstream.num_requests == {MESSAGES: 5}
        prompts = [body["messages"][0]["content"] for _, _, body in upstream.requests]
        assert len(set(prompts)) == 5
        run_load(Load(url=upstream.url, warmup_s=0, num_requests=6, duration_s=30, num_prompts=2))
        prompts = [body["messages"][0]["content"] for _, _, body in list(upstream.requests)[5:]]
        assert (len(prompts), len(set(prompts))) == (6, 2)


def test_a_refused_connection_counts_as_failed(loopback):
    with running_upstream() as upstream:
        url = upstream.url
    result = run_load(Load(url=url, warmup_s=0, num_requests=3, duration_s=30))
    assert result.statuses == {"failed": 3}
