"""Regressions, forest and factorisation: oracles, recovery of planted skills, repeatability."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from modelsat.errors import ZooError
from modelsat.evaluation.baselines.factorization import fit_factorization
from modelsat.evaluation.baselines.forest import fit_forest
from modelsat.evaluation.baselines.regression import (
    filled_outcomes,
    fit_perceptron,
    fit_ridge,
)
from modelsat.evaluation.baselines.tuning import LEARNERS
from modelsat.evaluation.metrics import cell_auc, pair_accuracy
from tests.support.baseline_parts import asked, embeddings_for, noisy_matrix
from tests.support.router_parts import TOPICS, make_card, make_matrix


def fit_first(learner, training):
    setting = {name: values[0] for name, values in learner.grid.items()}
    return learner.fit(training, embeddings_for(training), **setting)


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.name)
def test_learners_recover_planted_skills_despite_missing_outcomes(learner):
    judged = make_matrix(20)
    training = noisy_matrix(per_topic=80)
    scores = fit_first(learner, training).scores(asked(judged), judged.cards)
    assert scores.shape == judged.correct_QM.shape
    assert scores.dtype == np.float32
    assert cell_auc(scores, judged.correct_QM) > 0.95
    assert pair_accuracy(scores, judged.correct_QM) > 0.95


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.name)
def test_fits_are_deterministic_and_scores_follow_the_order_of_cards(learner):
    judged, training = make_matrix(5), noisy_matrix(per_topic=12)
    scores = fit_first(learner, training).scores(asked(judged), judged.cards)
    torch.rand(1)  # whatever else draws numbers must not matter
    again = fit_first(learner, training).scores(asked(judged), judged.cards[::-1][:2])
    np.testing.assert_allclose(again, scores[:, ::-1][:, :2], rtol=1e-6)


def test_ridge_equals_the_normal_equations_on_the_questions_each_candidate_answered():
    training, judged = noisy_matrix(), make_matrix(2)
    embeddings, questions = embeddings_for(training), asked(judged)
    scores = fit_ridge(training, embeddings, alpha=2.0).scores(questions, judged.cards)
    for m in range(len(training.cards)):
        known = ~np.isnan(training.correct_QM[:, m])
        x, y = embeddings[known].astype(float), training.correct_QM[known, m]
        centred = x - x.mean(0)
        weights = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(x.shape[1]), centred.T @ y)
        expected = y.mean() + (questions.embeddings_QE - x.mean(0)) @ weights
        np.testing.assert_allclose(scores[:, m], expected, atol=1e-5)


def test_ridge_predicts_the_mean_for_a_candidate_without_outcomes():
    training = noisy_matrix()
    correct = training.correct_QM.copy()
    correct[:, 1] = np.nan
    fitted = fit_ridge(replace(training, correct_QM=correct), embeddings_for(training), alpha=1.0)
    scores = fitted.scores(asked(training), training.cards)
    np.testing.assert_allclose(scores[:, 1], np.nanmean(correct), rtol=1e-5)


def test_unknown_outcomes_are_imputed_from_candidate_and_question():
    unknown = np.nan
    correct = np.array(
        [[1, 1, unknown], [0, 0, unknown], [1, 1, 1], [1, 0, 1], [0, 0, 1]], dtype=np.float32
    )
    filled = filled_outcomes(correct)
    known = ~np.isnan(correct)
    np.testing.assert_array_equal(filled[known], correct[known])
    assert 0.0 < filled[1, 2] < filled[0, 2] <= 1.0


def test_perceptron_for_one_candidate_has_one_column():
    training = noisy_matrix(share_unknown=0.0)
    one = replace(training, cards=training.cards[:1], correct_QM=training.correct_QM[:, :1])
    fitted = fit_perceptron(one, embeddings_for(one), hidden_width=4, alpha=0.1)
    assert fitted.scores(asked(one), one.cards).shape == (len(one), 1)


def test_factorisation_ignores_unknown_cells():
    """Missing outcomes of a candidate must not affect the vectors of the others."""
    training = noisy_matrix(per_topic=60, share_unknown=0.0, share_wrong=0.0)
    correct = np.ones_like(training.correct_QM)
    correct[::2, 1] = np.nan
    fitted = fit_factorization(
        replace(training, correct_QM=correct),
        embeddings_for(training),
        width=8,
        num_steps=600,
        weight_decay=0.0,
    )
    assert (fitted.scores(asked(training), training.cards) > 0).all()


def test_forest_scores_a_new_candidate_by_its_card():
    training = noisy_matrix(per_topic=80)
    skilled = make_card("new", {"rivers": 1.0, "verbs": 19.0, "sums": 19.0, "moons": 1.0})
    questions = asked(training)
    scores = fit_forest(training, embeddings_for(training), min_cells=5).scores(
        questions, [skilled, *training.cards]
    )
    np.testing.assert_allclose(scores[:, 0], scores[:, 2])
    verbs = np.array(training.tasks) == "verbs"
    assert scores[verbs, 0].mean() > scores[~verbs & (scores[:, 0] < 0.5), 0].mean() + 0.3


def test_forest_accepts_tasks_without_training_questions():
    training = noisy_matrix()
    elsewhere = replace(training, tasks=("painting",) * len(training))
    fitted = fit_forest(elsewhere, embeddings_for(training), min_cells=5)
    assert np.isfinite(fitted.scores(asked(training), training.cards)).all()


def test_forest_rejects_cards_of_other_tasks():
    training = noisy_matrix()
    fitted = fit_forest(training, embeddings_for(training), min_cells=40)
    card = make_card("new", dict.fromkeys(TOPICS, 10.0))
    shorter = replace(card, statements=card.statements[:2])
    with pytest.raises(ZooError, match="other tasks than the training cards"):
        fitted.scores(asked(training), [shorter])
