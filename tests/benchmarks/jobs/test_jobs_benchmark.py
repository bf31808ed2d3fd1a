"""The benchmark of the two jobs holds its figures against the right limits."""

import dataclasses

import pytest

from tests.benchmarks.jobs.kills import Faults, Kill
from tests.benchmarks.jobs.measures import Figures
from tests.benchmarks.jobs.page import check_figures, write_page
from tests.benchmarks.report.spread import Spread

KILL = Kill("driver, vLLM, 1 replica(s)", num_asked=200, allowed=16, repeated=16, is_same=True)
FAULTS = Faults(5, 5, 200, num_failed=4, num_bad=4, failed=("hanging", "unloadable"))


def figures(**changes):
    made = Figures(
        url_rows_per_s={1: Spread([30.0]), 2: Spread([57.0])},
        url_ratio=Spread([1.7, 1.8, 1.9]),
        engine_rows_per_s={1: Spread([8.5]), 2: Spread([8.0])},
        alone_rows_per_s=Spread([10.0]),
        pipeline_ratio=Spread([0.8, 0.85, 0.9]),
        start_s=Spread([30.0]),
        bare_tokens_per_s=Spread([1000.0]),
        ray_tokens_per_s=Spread([900.0]),
        training_ratio=Spread([0.9]),
        losses=(0.7, 0.7),
        num_parameters=99_000_000,
        kills=[KILL],
        faults=FAULTS,
        moved_apart={"two ranks, one rank": 1e-3},
    )
    return dataclasses.replace(made, **changes)


def missed(made):
    return [check.what for check in check_figures(made) if not check.is_met]


def test_figures_on_their_limits_are_met():
    assert missed(figures()) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"url_ratio": Spread([1.7, 1.79, 2.5])}, "slow URL"),
        ({"pipeline_ratio": Spread([0.84, 0.84, 0.99])}, "random Llama"),
        ({"training_ratio": Spread([0.89])}, "bare loop"),
        ({"moved_apart": {"two ranks, one rank": 1.1e-3}}, "two ranks, one rank"),
        ({"kills": [dataclasses.replace(KILL, repeated=17)]}, "rows asked twice"),
        ({"kills": [dataclasses.replace(KILL, is_same=False)]}, "same table"),
        ({"faults": dataclasses.replace(FAULTS, exit_code=1)}, "exit code"),
        ({"faults": dataclasses.replace(FAULTS, num_failed=3)}, "bad rows"),
        ({"faults": dataclasses.replace(FAULTS, failed=("hanging",))}, "failed candidates"),
    ],
)
def test_each_limit_is_missed_by_its_own_figure(changes, what):
    (one,) = missed(figures(**changes))
    assert what in one


def test_the_page_shows_spread_and_what_was_missed(tmp_path):
    made = figures(pipeline_ratio=Spread([0.70, 0.80, 0.90]))
    page = tmp_path / "jobs.md"
    write_page(made, check_figures(made), page, command="the command")
    text = page.read_text()
    assert "| 0.80 | 0.85 | **missed** |" in text
    assert "| ratio | 0.80 (0.70 to 0.90) |" in text
    assert "| driver, vLLM, 1 replica(s) | 200 | 16 | 16 | yes |" in text
