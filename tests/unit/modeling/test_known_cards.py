"""Random effects: their fit agrees with standard optimisers, and which cards get them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from modelsat.errors import ArtifactError
from modelsat.modeling.card_features import card_features
from modelsat.modeling.checkpoint import load_router, save_router
from modelsat.modeling.known_cards import (
    KnownCards,
    fit_difficulty,
    fit_effects,
    known_cards,
)
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import TASKS_HASH, TOPICS, WORDS, make_cards, make_router

QUESTION = WORDS["rivers"].format("Po")
OTHER = WORDS["verbs"].format("go")
NO_DIFFICULTY = np.zeros(4, dtype=np.float32)


def some_effects(cards, seed=0):
    features = card_features(cards)
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(len(cards), len(TOPICS))).astype(np.float32)
    return KnownCards(features.texts, features.num_correct_MT, effects, NO_DIFFICULTY)


def test_fit_is_the_mode_of_the_penalised_likelihood():
    rng = np.random.default_rng(0)
    relevance = rng.dirichlet(np.ones(4), size=300).astype(np.float32)
    log_odds = rng.normal(size=(300, 2)).astype(np.float32)
    truth = np.array([[1.5, -1.0, 0.0, 0.5], [0.0, 0.0, -2.0, 0.0]])
    chance = 1 / (1 + np.exp(-(log_odds + relevance @ truth.T)))
    correct = (rng.random((300, 2)) < chance).astype(np.float32)
    correct[:40, 1] = np.nan
    fitted = fit_effects(log_odds, relevance, correct, precision=3.0)
    for m in range(2):
        kept = ~np.isnan(correct[:, m])
        effects = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([effects], max_iter=200, line_search_fn="strong_wolfe")

        def closure(m=m, kept=kept, effects=effects, optimiser=optimiser):
            optimiser.zero_grad()
            logits = (
                torch.tensor(log_odds[kept, m]) + torch.tensor(relevance[kept]).double() @ effects
            )
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, torch.tensor(correct[kept, m], dtype=torch.float64), reduction="sum"
            )
            mean = effects.mean()
            loss = loss + 0.5 * 3.0 * ((effects - mean) ** 2).sum() + 0.5 * 4 * mean**2
            loss.backward()
            return loss

        optimiser.step(closure)
        np.testing.assert_allclose(fitted[m], effects.detach().numpy(), atol=2e-3)


def test_difficulty_is_the_mode_over_all_candidates_of_several_datasets():
    """With zero log-odds it equals scikit-learn's logistic regression of the cells."""
    rng = np.random.default_rng(0)
    truth = np.array([2.0, -1.0, 0.5])
    parts, inputs, outcomes = [], [], []
    for num_candidates in (3, 2):
        embeddings = rng.normal(size=(150, 3)).astype(np.float32)
        chance = 1 / (1 + np.exp(-embeddings @ truth))[:, None]
        correct = (rng.random((150, num_candidates)) < chance).astype(np.float32)
        correct[:20, 1] = np.nan
        parts.append((np.zeros_like(correct), embeddings, correct))
        rows, columns = np.nonzero(~np.isnan(correct))
        inputs.append(embeddings[rows])
        outcomes.append(correct[rows, columns])
    plain = LogisticRegression(C=1 / 4.0, fit_intercept=False, tol=1e-8, max_iter=1000)
    plain.fit(np.concatenate(inputs), np.concatenate(outcomes))
    np.testing.assert_allclose(fit_difficulty(parts, 4.0), plain.coef_[0], atol=1e-3)


def test_difficulty_explains_the_residual_of_the_log_odds():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(4000, 2)).astype(np.float32)
    log_odds = rng.normal(size=(4000, 3)).astype(np.float32)
    truth = np.array([1.0, -0.5])
    chance = 1 / (1 + np.exp(-(log_odds + (embeddings @ truth)[:, None])))
    correct = (rng.random(chance.shape) < chance).astype(np.float32)
    np.testing.assert_allclose(
        fit_difficulty([(log_odds, embeddings, correct)], 1.0), truth, atol=0.08
    )


def test_known_card_gets_its_effects_and_a_new_card_none():
    cards = make_cards(6)
    known = some_effects(cards[:4])
    renamed = [replace(card, candidate=f"x{i}", notes="n") for i, card in enumerate(cards)]
    got = known.effects(card_features(renamed))
    np.testing.assert_allclose(got[:4], known.effects_KT, atol=1e-6)
    assert np.abs(got[4:]).max() < np.abs(known.effects_KT).max() / 2
    turned = [replace(card, statements=card.statements[::-1]) for card in cards]
    np.testing.assert_allclose(known.effects(card_features(turned))[:, ::-1], got, atol=1e-6)


def test_edited_card_keeps_a_share_of_its_effects():
    card = make_cards(1)[0]
    known = some_effects([card])
    edited = replace(card.statements[0], num_correct=card.statements[0].num_correct + 0.5)
    other = replace(card, statements=(edited, *card.statements[1:]))
    np.testing.assert_allclose(
        known.effects(card_features([other])), 0.5 * known.effects_KT, atol=1e-6
    )


def test_known_cards_of_the_same_test_are_merged():
    cards = make_cards(3)
    turned = [replace(card, statements=card.statements[::-1]) for card in cards[2:]]
    first, second = some_effects(cards[:2]), some_effects(turned, seed=1)
    parts = [
        (card_features(cards[:2]), first.effects_KT),
        (card_features(turned), second.effects_KT),
    ]
    together = known_cards(parts, NO_DIFFICULTY)
    expected = np.concatenate([first.effects_KT, second.effects_KT[:, ::-1]])
    np.testing.assert_allclose(together.effects(card_features(cards)), expected, atol=1e-6)


def test_effects_are_added_by_relevance_and_saved_with_the_router(tmp_path):
    cards = make_cards(3)
    plain = make_router(tmp_path / "parts")
    known = some_effects(cards[:2])
    width = plain.model.connector.linear.in_features - 2
    constant = replace(
        known,
        effects_KT=np.full_like(known.effects_KT, 0.7),
        difficulty_E=np.zeros(width, dtype=np.float32),
    )
    router = replace(plain, known_cards={TASKS_HASH: constant})
    save_router(router, tmp_path / "router")
    before = Scorer(plain).log_odds([QUESTION], cards)
    after = Scorer(load_router(tmp_path / "router")).log_odds([QUESTION], cards)
    np.testing.assert_allclose(after - before, [[0.7, 0.7, 0.0]], atol=1e-4)
    (tmp_path / "router" / "known_cards.safetensors").write_bytes(b"none")
    with pytest.raises(ArtifactError, match=r"known_cards\.safetensors is missing or corrupt"):
        load_router(tmp_path / "router")


def test_difficulty_shifts_all_cards_of_its_test_and_is_saved_with_the_router(tmp_path):
    cards = make_cards(3)
    plain = make_router(tmp_path / "parts")
    features = plain.tokenizer.encoder_features([QUESTION, OTHER])
    embeddings = plain.model.encode(features).detach().numpy()
    difficulty = np.random.default_rng(0).normal(size=embeddings.shape[1]).astype(np.float32)
    effects = np.zeros((1, len(TOPICS)), dtype=np.float32)
    known = known_cards([(card_features(cards[:1]), effects)], difficulty)
    save_router(replace(plain, known_cards={TASKS_HASH: known}), tmp_path / "router")
    changed = Scorer(load_router(tmp_path / "router"), also_reads=["another"])
    before = Scorer(plain).log_odds([QUESTION, OTHER], cards)
    after = changed.log_odds([QUESTION, OTHER], cards)
    expected = np.repeat((embeddings @ difficulty)[:, None], 3, axis=1)
    np.testing.assert_allclose(after - before, expected, atol=1e-3)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    foreign = [replace(card, tasks_hash="another") for card in cards]
    np.testing.assert_allclose(changed.log_odds([QUESTION, OTHER], foreign), before, atol=1e-4)
