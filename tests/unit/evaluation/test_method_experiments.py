"""The paper's three experiments, each with a passing and a failing case."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modelsat.errors import ZooError
from modelsat.evaluation.evaluate import evaluate_router
from modelsat.evaluation.method_experiments import (
    aptitude_coverage,
    diverse,
    encoder_ablation,
    new_candidates,
)
from modelsat.evaluation.metrics import Interval
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import SHOTS, TOPICS, make_card, make_matrix, make_router

MATRIX = make_matrix(per_topic=30)
RIGHT = np.where(MATRIX.correct_QM > 0, 0.9, 0.1).astype(np.float32)


def matrix_of(true_MT: np.ndarray, card_MT: np.ndarray, seed: int = 0) -> OutcomeMatrix:
    """Answers drawn from true accuracies, and cards with other accuracies."""
    rng = np.random.default_rng(seed)
    cards = tuple(
        make_card(f"c{m}", dict(zip(TOPICS, np.round(SHOTS * row), strict=True)))
        for m, row in enumerate(card_MT)
    )
    places = [TOPICS.index(task) for task in MATRIX.tasks]
    correct_QM = rng.random((len(MATRIX), len(cards))) < true_MT.T[places]
    return replace(MATRIX, cards=cards, correct_QM=correct_QM.astype(np.float32))


def test_coverage_of_cards_that_show_the_strengths_of_the_answers():
    rng = np.random.default_rng(1)
    true_MT = rng.uniform(0.1, 0.9, (8, len(TOPICS)))
    shown = aptitude_coverage(matrix_of(true_MT, true_MT))
    assert shown.is_fault is False
    assert shown.figure > 0.8 > shown.limit
    misleading = aptitude_coverage(matrix_of(true_MT, 1 - true_MT))
    assert misleading.is_fault is True
    assert misleading.figure < -0.8


def test_coverage_is_the_correlation_of_strengths():
    """Agrees with numpy's correlation over all candidates, since there are at most five."""
    rng = np.random.default_rng(2)
    true_MT = rng.uniform(0.1, 0.9, (4, len(TOPICS)))
    matrix = matrix_of(true_MT, true_MT)
    tasks = np.array(matrix.tasks)
    names = sorted(TOPICS)
    seen = np.array([[matrix.correct_QM[tasks == t, m].mean() for t in names] for m in range(4)])
    counts = [
        [{s.task: s for s in c.statements}[t].num_correct for t in names] for c in matrix.cards
    ]
    on_cards = np.log((np.array(counts) + 0.5) / (SHOTS - np.array(counts) + 0.5))

    def rest(table: np.ndarray) -> np.ndarray:
        level, difficulty = table.mean(1, keepdims=True), table.mean(0, keepdims=True)
        return (table - level - difficulty + table.mean()).ravel()

    expected = np.corrcoef(rest(on_cards), rest(seen))[0, 1]
    assert aptitude_coverage(matrix).figure == pytest.approx(expected, abs=1e-5)


def test_uniform_cards_have_no_coverage():
    rng = np.random.default_rng(3)
    true_MT = rng.uniform(0.1, 0.9, (8, len(TOPICS)))
    level_MT = np.tile(true_MT.mean(axis=1, keepdims=True), (1, len(TOPICS)))
    assert aptitude_coverage(matrix_of(true_MT, level_MT)).is_fault


def test_coverage_needs_candidates_and_tasks():
    elsewhere = replace(MATRIX, tasks=("other",) * len(MATRIX))
    assert aptitude_coverage(elsewhere).is_fault is None
    pair = replace(MATRIX, cards=MATRIX.cards[:2], correct_QM=MATRIX.correct_QM[:, :2])
    assert aptitude_coverage(pair).is_fault is None


def test_diverse_rows_are_far_apart():
    rows = np.array([[0, 0], [0.1, 0.5], [5, 0], [0, 4], [5, 0.1]], dtype=np.float32)
    assert diverse(rows, 3) == [4, 3, 0]
    assert sorted(diverse(rows, 9)) == [0, 1, 2, 3, 4]


def test_encoder_must_gain_two_points():
    assert not encoder_ablation(Interval(0.03, 0.01, 0.05)).is_fault
    sign = encoder_ablation(Interval(0.01, -0.01, 0.03))
    assert sign.is_fault
    assert "+1.0 points" in sign.finding
    assert encoder_ablation(None).is_fault is None


def test_new_candidates_are_compared_with_known_ones():
    rng = np.random.default_rng(0)
    noisy = RIGHT.copy()
    noisy[:, 1] = rng.random(len(MATRIX))
    sign = new_candidates(noisy, MATRIX, ["school"])
    own = roc_auc_score(MATRIX.correct_QM[:, 1], noisy[:, 1])
    assert sign.figure == pytest.approx(1 - own)
    assert sign.is_fault
    assert not new_candidates(RIGHT, MATRIX, ["school"]).is_fault
    assert new_candidates(RIGHT, MATRIX, []).is_fault is None
    with pytest.raises(ZooError, match="nobody are not in the zoo of earth, school, none"):
        new_candidates(RIGHT, MATRIX, ["nobody"])


def test_report_has_all_three_experiments(tmp_path):
    report = evaluate_router(Scorer(make_router(tmp_path)), make_matrix(5), new=["school"])
    experiments = {one["name"]: one for one in report["experiments"]}
    assert experiments["encoder ablation"]["figure"] is None  # no baseline was trained
    assert experiments["aptitude coverage"]["figure"] > 0.99
    assert experiments["new candidates routed badly"]["figure"] is not None
