"""Metrics agree with brute force, and the report keeps its contract."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from modelsat.errors import ArtifactError
from modelsat.evaluation.baselines import baselines
from modelsat.evaluation.evaluate import complete_rows, evaluate_router
from modelsat.evaluation.metrics import (
    NUM_BINS,
    brier_score,
    expected_calibration_error,
    paired_bootstrap,
)
from modelsat.evaluation.report import write_report
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import make_matrix, make_router


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A random router's report on the toy matrix."""
    scorer = Scorer(make_router(tmp_path_factory.mktemp("parts")))
    return evaluate_router(scorer, make_matrix())


def brute_force_ece(probabilities, correct):
    total = 0.0
    for b in range(NUM_BINS):
        inside = (probabilities >= b / NUM_BINS) & (probabilities < (b + 1) / NUM_BINS)
        if inside.any():
            gap = abs(probabilities[inside].mean() - correct[inside].mean())
            total += inside.mean() * gap
    return total


def test_calibration_metrics_equal_brute_force():
    rng = np.random.default_rng(0)
    probabilities = rng.random(500).astype(np.float32)
    correct = (rng.random(500) < probabilities**2).astype(np.float32)
    assert expected_calibration_error(probabilities, correct) == pytest.approx(
        brute_force_ece(probabilities, correct), abs=1e-6
    )
    assert brier_score(probabilities, correct) == pytest.approx(
        np.mean([(p - c) ** 2 for p, c in zip(probabilities, correct, strict=True)]), abs=1e-6
    )


def test_interval_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 2, 4000).astype(np.float32) for _ in range(2))
    interval = paired_bootstrap(first, second)
    gains = first - second
    half = 1.96 * gains.std() / np.sqrt(len(gains))
    assert interval.difference == pytest.approx(gains.mean())
    assert interval.low == pytest.approx(gains.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(gains.mean() + half, abs=0.1 * half)


def test_baselines_by_hand():
    made = baselines(make_matrix(), None)
    accuracy = {name: baseline.accuracy for name, baseline in made.items()}
    assert accuracy["random"] == pytest.approx(1 / 3)
    assert accuracy["best_single"] == pytest.approx(0.5)
    assert accuracy["best_per_task"] == accuracy["card_lookup"] == accuracy["oracle"] == 1.0
    assert "hindsight" in made["best_single"].detail


def test_best_single_is_chosen_on_training_outcomes_when_given():
    matrix = make_matrix()
    misleading = matrix.correct_QM.copy()
    misleading[:, 2] = 1.0
    training = type(matrix)(**{**vars(matrix), "correct_QM": misleading})
    made = baselines(matrix, training)
    assert made["best_single"].detail == "none, chosen on training outcomes"
    assert made["best_single"].accuracy == 0.0


def test_incomplete_questions_are_excluded_and_counted():
    matrix = make_matrix()
    correct = matrix.correct_QM.copy()
    correct[:10, 1] = np.nan
    partial = type(matrix)(**{**vars(matrix), "correct_QM": correct})
    assert len(complete_rows(partial)) == len(matrix) - 10
    correct[:, 1] = np.nan
    with pytest.raises(ArtifactError, match="no question was answered by all"):
        complete_rows(type(matrix)(**{**vars(matrix), "correct_QM": correct}))


def test_report_has_the_keys_of_its_contract(report):
    assert report["n_questions"] == len(make_matrix())
    assert report["random"] == pytest.approx(1 / 3)
    assert report["best_single"]["chosen"].endswith("in hindsight")
    assert report["best_per_task"] == report["oracle"] == 1.0
    assert sum(report["shares"].values()) == pytest.approx(1.0)
    assert set(report["router"]) >= {"accuracy", "gain_over_best_single", "auc", "brier", "ece"}
    gain = report["router"]["gain_over_best_single"]
    assert gain["low"] <= gain["difference"] <= gain["high"]
    assert gain["difference"] == pytest.approx(
        report["router"]["accuracy"] - report["best_single"]["accuracy"]
    )


def test_report_is_written_as_json_and_html(report, tmp_path):
    hostile = {**report, "candidates": ["<script>x</script>", *report["candidates"][1:]]}
    for key in ("single_accuracy", "shares"):
        hostile[key] = {**report[key], "<script>x</script>": 0.0}
    write_report(hostile, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["version"] == report["version"]
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "<script>" not in page
    HTMLParser().feed(page)
