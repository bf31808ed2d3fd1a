"""The benchmark's page and limits, from predictions made up for the purpose."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelsat.evaluation.baselines.simple import Tuning
from modelsat.evaluation.metrics import Interval
from tests.benchmarks.quality.benchmark import BenchmarkResults, SliceResults
from tests.benchmarks.quality.edits import CardEdit
from tests.benchmarks.quality.effort import Effort
from tests.benchmarks.quality.escalation import escalation
from tests.benchmarks.quality.limits import check_benchmark, held_out_auc
from tests.benchmarks.quality.out_of_domain import OutOfDomain
from tests.benchmarks.quality.page import write_page
from tests.benchmarks.quality.predictions import Predictions
from tests.benchmarks.quality.releases import arrivals
from tests.benchmarks.quality.routellm import GSM8K_UNLABELLED, STRONG, WEAK, escalation_rows
from tests.benchmarks.quality.zoos import ZooSetups

CANDIDATES = ("a", "b", "c", "d")
RATES = np.array([0.8, 0.75, 0.5, 0.3])


def predictions(seed, skill=2.0, candidates=CANDIDATES, rates=RATES, num_questions=300):
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=(num_questions, 1))
    taste = rng.normal(size=(num_questions, len(candidates)))
    logit = np.log(rates / (1 - rates)) + ease + skill * taste
    chance = 1 / (1 + np.exp(-logit))
    correct = (rng.random(chance.shape) < chance).astype(np.float32)
    noise = rng.random(chance.shape)
    return Predictions(
        tuple(f"{seed}/{i}" for i in range(num_questions)),
        ("t",) * num_questions,
        tuple(candidates),
        correct,
        {
            "router": chance.astype(np.float32),
            "best_single": np.tile(rates, (num_questions, 1)).astype(np.float32),
            "knn": (0.3 * chance + 0.7 * noise).astype(np.float32),
        },
    )


@pytest.fixture(scope="module")
def results():
    setups = ZooSetups.model_validate(
        {"all": "*", "two": ["a", "b"], "close": ["two"], "held_out": ["b", "d"]}
    ).among(CANDIDATES)
    folds = tuple(predictions(k) for k in range(5))
    slice_ = SliceResults(
        name="mmlu",
        setups=setups,
        left_out={"idle": 12},
        num_incomplete=34,
        folds=folds,
        tunings=5 * ({"knn": Tuning({"neighbours": (5.0, 9.0)}, {"neighbours": 9.0}, 0.612)},),
        validated_elsewhere=frozenset(f"{k}/0" for k in range(5)),
        seeds={1: predictions(0)},
        held_out=predictions(0),
    )
    pair = predictions(9, candidates=(STRONG, WEAK), rates=np.array([0.9, 0.6]))
    releases = arrivals(
        predictions(3), CANDIDATES, dict(zip(CANDIDATES, RATES, strict=True)), CANDIDATES[:2]
    )
    return BenchmarkResults(
        slices=(slice_,),
        releases=tuple(releases),
        edits={"mmlu": CardEdit("algebra", "law", 20, 0.95, 0.2, 0.02)},
        routellm={GSM8K_UNLABELLED: escalation_rows(pair)},
        out_of_domain=(
            OutOfDomain("together", "all", 9, 0.2, 0.4, 0.5, Interval(0.1, -0.1, 0.3), 0.45, 0.8),
        ),
        effort=Effort(3600.0, ("2026-01-02",), ("abc", "def"), ("2 cores",)),
    )


def test_a_good_router_meets_the_limits(results):
    checks = check_benchmark(results)
    assert not [check.line() for check in checks if not check.is_met]
    assert any("AUC over the best baseline" in check.what for check in checks)
    assert any("RouteLLM APGR" in check.what for check in checks)
    without, trained = held_out_auc(results.slices[0])["all"]
    assert without == trained


def test_a_useless_router_misses_them(results):
    one = results.slices[0]
    rng = np.random.default_rng(0)
    blind = tuple(
        part.with_scores({"router": rng.random(part.correct_QM.shape).astype(np.float32)})
        for part in one.folds
    )
    worse = replace(
        results,
        slices=(replace(one, folds=blind),),
        effort=replace(results.effort, seconds=6 * 3600.0),
    )
    missed = {check.what for check in check_benchmark(worse) if not check.is_met}
    assert "hours for the whole benchmark" in missed
    assert "mmlu: AUC over the best baseline (knn)" in missed
    assert "mmlu: ECE" in missed
    assert "mmlu: gain on zoo two, points" in missed


def plots_of(page):
    return {plot.name: plot.read_bytes() for plot in page.with_suffix("").glob("*.svg")}


def test_the_page_shows_what_was_measured_and_is_drawn_alike_again(results, tmp_path):
    page, again = tmp_path / "docs" / "quality.md", tmp_path / "again" / "quality.md"
    checks = check_benchmark(results)
    for path in (page, again):
        write_page(results, checks, path, preset=Path("somewhere/mine.yaml"))
    assert plots_of(page)
    assert plots_of(page) == plots_of(again)
    text = page.read_text()
    assert "{{" not in text
    assert "{%" not in text
    for link in re.findall(r"\]\(([^)]+\.svg)\)", text):
        assert (page.parent / link).read_text().startswith("<?xml")
    whole = np.concatenate([part.correct_QM for part in results.slices[0].folds])
    assert f"| {100 * whole.mean():.1f} |" in text
    assert f"| {100 * whole.max(axis=1).mean():.1f} |" in text
    pair = predictions(9, candidates=(STRONG, WEAK), rates=np.array([0.9, 0.6]))
    score = pair.scores["router"][:, 0] * (1 - pair.scores["router"][:, 1])
    apgr = escalation(score, *pair.correct_QM.T).apgr
    by_difference = escalation(np.diff(pair.scores["router"])[:, 0] * -1, *pair.correct_QM.T).apgr
    assert re.search(rf"\| {apgr:.3f} \([^|]*\| {by_difference:.3f} \|", text)
    assert "published: causal LLM | 33.6 | 63.3 | 0.622" in text
    for said in (
        "preset `mine`",
        "in 1.0 hours",
        "34 more questions are left out",
        "idle (12)",
        "On the 1495 questions on which no router was validated",
        "| knn | 9 (0.612) | 9 (0.612) |",
        "- two: a, b",
        f"{len(checks)} of {len(checks)} limits are met.",
    ):
        assert said in text, said
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    for table in tables:
        widths = {line.count("|") for line in table.strip().split("\n")}
        assert len(widths) == 1, table
