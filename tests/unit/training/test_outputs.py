"""Post-training fits: random effects, shrinkage and calibration."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from modelsat.evaluation.metrics import cell_auc
from modelsat.modeling.card_features import card_features
from modelsat.training.outputs import NetworkScores, fit_outputs, network_scores
from tests.support.router_parts import TASKS_HASH, make_cards, make_matrix, make_router


def blind_scores(matrix):
    """A network that predicts difficulty but knows nothing about the candidates."""
    relevance = np.zeros((len(matrix), 4), dtype=np.float32)
    topics = [text.split(":")[0] for text in card_features(matrix.cards).texts]
    for i, task in enumerate(matrix.tasks):
        relevance[i, topics.index(task)] = 1.0
    nothing = np.zeros(matrix.correct_QM.shape, dtype=np.float32)
    return NetworkScores(nothing, nothing[:, 0], relevance, np.ones((len(matrix), 1), np.float32))


def test_effects_learn_the_networks_error():
    whole = make_matrix(per_topic=80)
    training, validation = whole.rows(range(160)), whole.rows(range(160, 320))
    fitted = fit_outputs(blind_scores, [training], [validation], num_instructions=100, seed=0)
    effects = fitted.known_cards[TASKS_HASH].effects(card_features(whole.cards))
    scores = blind_scores(validation)
    after = scores.log_odds_QM + scores.relevance_QT @ effects.T
    assert cell_auc(scores.log_odds_QM, validation.correct_QM) == pytest.approx(0.5)
    assert cell_auc(after, validation.correct_QM) == pytest.approx(1.0)
    probabilities = fitted.calibration.probabilities(after)
    assert probabilities[validation.correct_QM == 1].min() > 0.9
    assert fitted.effect_precision == 5.0


@pytest.mark.parametrize("harder", [2.0, 0.0])
def test_difficulty_is_learned_if_there_is_any(harder):
    """Half of the instructions, or none, are harder than the network predicts."""
    rng = np.random.default_rng(0)
    whole = make_matrix(per_topic=1000)
    is_hard = (rng.random(len(whole)) < 0.5).astype(np.float32)
    embedding = np.stack([is_hard, 1 - is_hard], axis=1)
    ability = card_features(whole.cards).mean_evidence_M
    ease = rng.normal(size=len(whole)).astype(np.float32)
    said = ease[:, None] + ability[None]
    chance = 1 / (1 + np.exp(harder * is_hard[:, None] - said))
    correct = (rng.random(said.shape) < chance).astype(np.float32)
    matrix = type(whole)(**{**vars(whole), "correct_QM": correct})
    place = {question: i for i, question in enumerate(whole.question_ids)}

    def score(asked):
        rows = [place[question] for question in asked.question_ids]
        relevance = np.full((len(asked), 4), 0.25, dtype=np.float32)
        return NetworkScores(said[rows], ease[rows], relevance, embedding[rows])

    training, validation = matrix.rows(range(2000)), matrix.rows(range(2000, 4000))
    fitted = fit_outputs(score, [training], [validation], num_instructions=2000, seed=0)
    found = fitted.known_cards[TASKS_HASH].difficulty_E
    assert found[0] - found[1] == pytest.approx(-harder, abs=0.25)


def test_effects_of_noise_stay_small():
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
    effects = fitted.known_cards[TASKS_HASH].effects_KT
    assert np.abs(effects - effects.mean(axis=1, keepdims=True)).max() < 0.4


def test_network_scores_equal_those_of_single_instructions(tmp_path):
    router, matrix = make_router(tmp_path), make_matrix(per_topic=20)
    model = router.model.eval()
    scores = network_scores(model, router.tokenizer, matrix, torch.device("cpu"))
    assert scores.relevance_QT.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    features = card_features(matrix.cards)
    statements = router.tokenizer.encoder_features(features.texts)
    for i in (0, 41, 79):
        tokens = router.tokenizer([matrix.instructions[i]])
        with torch.no_grad():
            alone, own, embedded = model(tokens, statements, torch.from_numpy(features.weights_MT))
            even, _, _ = model(tokens, statements, torch.zeros(1, len(features.texts)))
        np.testing.assert_allclose(scores.log_odds_QM[i], alone[0], atol=1e-4)
        np.testing.assert_allclose(scores.neutral_Q[i], even[0, 0], atol=1e-4)
        np.testing.assert_allclose(scores.relevance_QT[i], own[0].exp(), atol=1e-5)
        np.testing.assert_allclose(scores.embeddings_QE[i], embedded[0], atol=1e-5)


@pytest.mark.parametrize("num_cards", [3, 100])
@pytest.mark.parametrize("layout", ["instruction_first", "capability_first"])
def test_number_of_sequences_per_pass_is_limited(tmp_path, layout, num_cards):
    """capability_first has a sequence per card, so 100 cards leave it a single instruction."""
    router = make_router(tmp_path, layout)
    matrix = replace(make_matrix(per_topic=20), cards=tuple(make_cards(num_cards)))
    if layout == "capability_first":
        matrix = matrix.rows(range(20))
    sequences = []
    router.model.base.register_forward_pre_hook(
        lambda _base, _args, inputs: sequences.append(len(inputs["inputs_embeds"])),
        with_kwargs=True,
    )
    scores = network_scores(router.model, router.tokenizer, matrix, torch.device("cpu"))
    if layout == "instruction_first":
        assert sequences == [64, 16]
    else:
        assert sum(sequences) == 20 * (num_cards + 1)
        assert max(sequences) == max(64, num_cards + 1)
    tokens = router.tokenizer([matrix.instructions[11]])
    features = card_features(matrix.cards)
    statements = router.tokenizer.encoder_features(features.texts)
    with torch.no_grad():
        alone, _, _ = router.model(tokens, statements, torch.from_numpy(features.weights_MT))
    np.testing.assert_allclose(scores.log_odds_QM[11], alone[0], atol=1e-4)


def test_overconfident_interactions_are_shrunk_towards_the_levels():
    """True log-odds are the levels plus half of the network's deviation from them."""
    rng = np.random.default_rng(0)
    whole = make_matrix(per_topic=1000)
    ability = card_features(whole.cards).mean_evidence_M
    ease = rng.normal(size=len(whole)).astype(np.float32)
    single = rng.normal(size=whole.correct_QM.shape).astype(np.float32)
    truth = ease[:, None] + ability[None] + 0.5 * single
    correct = (rng.random(truth.shape) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    matrix = type(whole)(**{**vars(whole), "correct_QM": correct})
    said = truth + 0.5 * single
    place = {question: i for i, question in enumerate(whole.question_ids)}

    def score(asked):
        rows = [place[question] for question in asked.question_ids]
        relevance = np.full((len(asked), 4), 0.25, dtype=np.float32)
        nothing = np.zeros((len(asked), 1), dtype=np.float32)
        return NetworkScores(said[rows], ease[rows], relevance, nothing)

    training, validation = matrix.rows(range(2000)), matrix.rows(range(2000, 4000))
    fitted = fit_outputs(score, [training], [validation], num_instructions=2000, seed=0)
    scale, shrinkage = fitted.calibration.scale, fitted.shrinkage
    assert scale == pytest.approx(0.5, abs=0.1)
    assert scale * (1 + shrinkage.instruction) == pytest.approx(1.0, abs=0.1)
    assert 0.4 < shrinkage.candidate < 1.4  # effects of known cards carry a part of it
