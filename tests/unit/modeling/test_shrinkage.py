"""Shrinkage of the network's log-odds."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from modelsat.modeling.card_features import card_features
from modelsat.modeling.checkpoint import load_router, save_router
from modelsat.modeling.shrinkage import Shrinkage, fit_shrinkage
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import make_cards, make_router

SHRUNK = Shrinkage(instruction=0.5, candidate=0.25)


def test_weights_match_logistic_regression():
    rng = np.random.default_rng(0)
    log_odds, even, evidence = rng.normal(size=(3, 20_000)).astype(np.float32)
    truth = 0.6 * (log_odds + 0.8 * even + 0.3 * evidence) - 0.2
    correct = (rng.random(truth.shape) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    fitted = fit_shrinkage(log_odds, even, evidence, correct)
    other = LogisticRegression(C=np.inf).fit(np.stack([log_odds, even, evidence], 1), correct > 0)
    scale, *weights = other.coef_[0]
    expected = np.array(weights) / scale
    assert [fitted.instruction, fitted.candidate] == pytest.approx(expected, abs=0.02)


def test_shrinkage_is_saved_and_applied_to_scores(tmp_path):
    router, cards = make_router(tmp_path / "parts"), make_cards(5)
    texts = ["What is the sum of two and seven?", "Where does the river flow?"]
    plain = Scorer(router).log_odds(texts, cards)
    features = card_features(cards)
    statements = router.tokenizer.encoder_features(features.texts)
    nothing = torch.zeros(1, len(features.texts))
    with torch.no_grad():
        even = [router.model(router.tokenizer([t]), statements, nothing)[0].item() for t in texts]
    expected = plain + 0.5 * np.array(even)[:, None] + 0.25 * features.weights_MT.mean(axis=1)
    save_router(type(router)(**{**vars(router), "shrinkage": SHRUNK}), tmp_path / "shrunk")
    loaded = load_router(tmp_path / "shrunk")
    assert loaded.shrinkage == SHRUNK
    np.testing.assert_allclose(Scorer(loaded).log_odds(texts, cards), expected, atol=1e-4)


def test_score_does_not_depend_on_other_candidates(tmp_path):
    router, cards = make_router(tmp_path), make_cards(9)
    scorer = Scorer(type(router)(**{**vars(router), "shrinkage": SHRUNK}))
    text = ["What is the sum of two and seven?"]
    alone = scorer.log_odds(text, cards[:1])
    for number in (2, 3, 4, 8, 9):
        # Rounding depends on the size of a matrix product, by a few units on some processors.
        together = float(scorer.log_odds(text, cards[:number])[0, 0])
        rounding = 16 * float(np.finfo(np.float32).eps)
        assert together == pytest.approx(float(alone[0, 0]), rel=rounding)
