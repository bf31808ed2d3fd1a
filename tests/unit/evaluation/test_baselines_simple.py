"""Baselines without learning, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from modelsat.evaluation.baselines import baselines
from modelsat.evaluation.metrics import cell_auc, pair_accuracy
from tests.support.router_parts import make_matrix


@pytest.fixture
def training():
    """Outcomes by which 'school' is the best candidate and the best at everything but moons."""
    matrix = make_matrix()
    correct = matrix.correct_QM.copy()
    correct[np.array(matrix.tasks) == "rivers"] = [0.0, 1.0, 0.0]
    return replace(matrix, correct_QM=correct)


def test_random_and_oracle_are_the_bounds():
    matrix = make_matrix()
    made = baselines(matrix, None)
    for name, expected in (("random", 0.5), ("oracle", 1.0)):
        assert cell_auc(made[name].scores_QM, matrix.correct_QM) == expected
        assert pair_accuracy(made[name].scores_QM, matrix.correct_QM) == expected


def test_scores_are_training_rates(training):
    matrix = make_matrix()
    made = baselines(matrix, training)
    np.testing.assert_allclose(
        made["best_single"].scores_QM, np.tile([0.25, 0.75, 0.0], (len(matrix), 1))
    )
    river = matrix.tasks.index("rivers")
    np.testing.assert_array_equal(made["best_per_task"].scores_QM[river], [0.0, 1.0, 0.0])
    assert made["best_per_task"].accuracy == pytest.approx(0.75)
    np.testing.assert_allclose(made["card_lookup"].scores_QM[river], [0.95, 0.05, 0.05])


def test_task_without_training_outcomes_uses_the_best_single(training):
    matrix = make_matrix()
    new = replace(matrix, tasks=("painting",) * len(matrix))
    made = baselines(new, training)
    np.testing.assert_array_equal(made["best_per_task"].correct_Q, made["best_single"].correct_Q)


def test_skipped_task_uses_the_candidates_overall_rate(training):
    correct = training.correct_QM.copy()
    correct[np.array(training.tasks) == "moons", 1] = np.nan
    made = baselines(make_matrix(), replace(training, correct_QM=correct))
    moon = training.tasks.index("moons")
    np.testing.assert_allclose(made["best_per_task"].scores_QM[moon], [1.0, 1.0, 0.0], atol=2e-3)
