"""What is fitted after the network: effects of known cards and calibration."""

import numpy as np
import pytest
import torch

from modelsat.modeling.card_features import card_features
from modelsat.training.metrics import cell_auc
from modelsat.training.outputs import fit_outputs, network_scores
from tests.unit.router_parts import make_matrix, make_router


def blind_scores(matrix):
    """A network that knows how hard an instruction is, and nothing of the candidates."""
    relevance = np.zeros((len(matrix), 4), dtype=np.float32)
    topics = [text.split(":")[0] for text in card_features(matrix.cards).texts]
    for i, task in enumerate(matrix.tasks):
        relevance[i, topics.index(task)] = 1.0
    return np.zeros(matrix.correct_QM.shape, dtype=np.float32), relevance


def test_effects_learn_what_the_network_does_not_know():
    whole = make_matrix(per_topic=80)
    training, validation = whole.rows(range(160)), whole.rows(range(160, 320))
    fitted = fit_outputs(blind_scores, [training], [validation], num_instructions=100, seed=0)
    effects = fitted.known_cards[0].effects(card_features(whole.cards))
    log_odds, relevance = blind_scores(validation)
    after = log_odds + relevance @ effects.T
    assert cell_auc(log_odds, validation.correct_QM) == pytest.approx(0.5)
    assert cell_auc(after, validation.correct_QM) == pytest.approx(1.0)
    probabilities = fitted.calibration.probabilities(after)
    assert probabilities[validation.correct_QM == 1].min() > 0.9
    assert fitted.precision == 5.0


def test_effects_of_mere_noise_stay_small():
    rng = np.random.default_rng(0)
    whole = make_matrix(per_topic=100)
    noise = (rng.random(whole.correct_QM.shape) < 0.5).astype(np.float32)
    noisy = type(whole)(**{**vars(whole), "correct_QM": noise})
    fitted = fit_outputs(
        blind_scores,
        [noisy.rows(range(200))],
        [noisy.rows(range(200, 400))],
        num_instructions=200,
        seed=0,
    )
    effects = fitted.known_cards[0].effects_KT
    assert np.abs(effects - effects.mean(axis=1, keepdims=True)).max() < 0.4


def test_network_scores_are_those_of_single_instructions(tmp_path):
    router, matrix = make_router(tmp_path), make_matrix(per_topic=20)
    model = router.model.eval()
    log_odds, relevance = network_scores(model, router.tokenizer, matrix, torch.device("cpu"))
    assert relevance.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    features = card_features(matrix.cards)
    statements = router.tokenizer.encoder_features(features.texts)
    for i in (0, 41, 79):
        tokens = router.tokenizer([matrix.instructions[i]])
        with torch.no_grad():
            alone, own = model(tokens, statements, torch.from_numpy(features.weights_MT))
        np.testing.assert_allclose(log_odds[i], alone[0], atol=1e-4)
        np.testing.assert_allclose(relevance[i], own[0].exp(), atol=1e-5)
