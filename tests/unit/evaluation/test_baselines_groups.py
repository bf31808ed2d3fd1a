"""Rates within tasks, neighbourhoods and clusters agree with plain loops."""

from dataclasses import replace

import numpy as np
import pytest

from modelsat.errors import ZooError
from modelsat.evaluation.baselines.groups import (
    expected_rates,
    fit_card_rates,
    fit_task_rates,
    group_offsets,
    shrink,
)
from modelsat.evaluation.baselines.neighbours import fit_clusters, fit_neighbours
from tests.support.baseline_parts import asked, embeddings_for, noisy_matrix
from tests.support.router_parts import SHOTS, TOPICS, make_card, make_matrix


def log_odds(p):
    p = np.clip(p, 0.001, 0.999)
    return np.log(p / (1 - p))


def looped_scores(group, overall, strength):
    """Shrunk rates of the candidates in one group of questions, from their overall rates."""
    known = ~np.isnan(group)
    num_candidates = group.shape[1]
    observed = expected = overall.mean() * num_candidates
    for m in range(num_candidates):
        observed += group[known[:, m], m].sum()
        expected += known[:, m].sum() * overall[m]
    weight = known.sum() + num_candidates
    offset = log_odds(observed / weight) - log_odds(expected / weight)
    prior = 1 / (1 + np.exp(-log_odds(overall) - offset))
    return [
        (group[known[:, m], m].sum() + strength * prior[m]) / (known[:, m].sum() + strength)
        for m in range(num_candidates)
    ]


def test_shrinkage_by_hand():
    totals, known = np.array([3.0, 0.0]), np.array([4.0, 0.0])
    np.testing.assert_allclose(shrink(totals, known, 0.5, 0.0), [0.75, 0.5])
    np.testing.assert_allclose(shrink(totals, known, 0.5, 4.0), [0.625, 0.5])
    np.testing.assert_allclose(shrink(totals, known, 0.5, 1e9), [0.5, 0.5], atol=1e-6)


def test_offsets_estimate_difficulty_independent_of_the_candidates():
    """Each group is answered by one candidate; equal residuals must give equal difficulty."""
    rates = np.array([0.2, 0.8])
    known = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    offsets = group_offsets(rates * known, known, rates)
    np.testing.assert_allclose(offsets, 0.0, atol=1e-9)
    np.testing.assert_allclose(expected_rates(offsets, rates), [rates, rates])


@pytest.mark.parametrize("strength", [5.0, 40.0])
def test_task_means_equal_a_loop(strength):
    training = noisy_matrix()
    scores = fit_task_rates(training, embeddings_for(training), strength=strength).scores(
        asked(training), training.cards
    )
    overall = np.nanmean(training.correct_QM, axis=0)
    for task in TOPICS:
        rows = np.array([one == task for one in training.tasks])
        expected = looped_scores(training.correct_QM[rows], overall, strength)
        np.testing.assert_allclose(scores[rows], np.tile(expected, (rows.sum(), 1)), rtol=1e-5)


def test_neighbours_equal_a_loop_with_unknown_outcomes():
    training, judged = noisy_matrix(), make_matrix(3)
    embeddings, questions = embeddings_for(training), asked(judged)
    fitted = fit_neighbours(training, embeddings, num_neighbours=9, strength=5.0)
    overall = np.nanmean(training.correct_QM, axis=0)
    expected = [
        looped_scores(training.correct_QM[np.argsort(-embeddings @ question)[:9]], overall, 5.0)
        for question in questions.embeddings_QE
    ]
    np.testing.assert_allclose(fitted.scores(questions, judged.cards), expected, rtol=1e-5)


def test_number_of_neighbours_and_clusters_is_limited_by_the_questions():
    training = noisy_matrix(per_topic=2, share_unknown=0.0)
    embeddings = embeddings_for(training)
    near = fit_neighbours(training, embeddings, num_neighbours=50, strength=0.0)
    scores = near.scores(asked(training), training.cards)
    np.testing.assert_allclose(scores, np.tile(training.correct_QM.mean(0), (8, 1)), atol=1e-6)
    alone = fit_clusters(training, embeddings, num_clusters=50, strength=0.0)
    own = alone.scores(replace(asked(training), embeddings_QE=embeddings), training.cards)
    np.testing.assert_array_equal(own, training.correct_QM)


def test_clusters_recover_the_rates_of_the_topics():
    training = noisy_matrix()
    embeddings = np.eye(len(TOPICS))[[TOPICS.index(t) for t in training.tasks]].astype(np.float32)
    fitted = fit_clusters(training, embeddings, num_clusters=len(TOPICS), strength=10.0)
    by_task = fit_task_rates(training, embeddings, strength=10.0)
    questions = replace(asked(training), embeddings_QE=3 * embeddings)
    np.testing.assert_allclose(
        fitted.scores(questions, training.cards), by_task.scores(questions, training.cards)
    )


def test_card_rates_without_shrinkage_equal_the_cards():
    training = make_matrix()
    new = make_card("new", {"rivers": 7.0, "verbs": 13.0, "sums": 20.0, "moons": 0.0})
    questions = replace(asked(training), tasks=("verbs", "moons", "painting"))
    raw = fit_card_rates(training, embeddings_for(training), strength=0.0)
    np.testing.assert_allclose(
        raw.scores(questions, [new])[:, 0], [13 / SHOTS, 0.0, 40 / (4 * SHOTS)]
    )
    shrunk = fit_card_rates(training, embeddings_for(training), strength=20.0)
    verbs, moons, other = shrunk.scores(questions, [new])[:, 0]
    assert 0.5 < verbs < 0.65
    assert 0.1 < moons < 0.4
    assert other == pytest.approx(0.5)


def test_shrunk_card_rate_is_lower_on_a_hard_task():
    training = replace(
        make_matrix(),
        cards=tuple(
            make_card(name, {"rivers": 2.0, "verbs": 14.0, "sums": 14.0, "moons": 14.0})
            for name in ("earth", "school", "none")
        ),
    )
    new = make_card("new", dict.fromkeys(TOPICS, 10.0))
    questions = replace(asked(training), tasks=("rivers", "verbs"))
    fitted = fit_card_rates(training, embeddings_for(training), strength=20.0)
    rivers, verbs = fitted.scores(questions, [new])[:, 0]
    assert rivers < 0.4
    assert verbs > 0.5


def test_rejects_a_candidate_without_training_outcomes():
    training = noisy_matrix()
    fitted = fit_task_rates(training, embeddings_for(training), strength=1.0)
    with pytest.raises(ZooError, match="no training outcome of new"):
        fitted.scores(asked(training), [make_card("new", dict.fromkeys(TOPICS, 10.0))])
