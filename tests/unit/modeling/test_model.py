"""The router model: its parts, its artifact, and the inputs that affect its scores."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from modelsat.aptitude.tasks import load_tasks
from modelsat.errors import ArtifactError, ZooError
from modelsat.modeling.calibration import Calibration, fit_calibration
from modelsat.modeling.card_features import card_features, evidence
from modelsat.modeling.checkpoint import load_router, save_router
from modelsat.modeling.loading import build_model
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import TASKS, WORDS, make_cards, make_router

QUESTIONS = [WORDS["rivers"].format("Po"), WORDS["sums"].format("three hundred and ninety")]


@pytest.fixture(params=["instruction_first", "capability_first"])
def scorer(request, tmp_path):
    return Scorer(make_router(tmp_path / "parts", request.param))


def test_scores_do_not_depend_on_the_batch(scorer):
    cards = make_cards(5)
    together = scorer.score(QUESTIONS, cards)
    for b, question in enumerate(QUESTIONS):
        for m, card in enumerate(cards):
            alone = scorer.score([question], [card])[0, 0]
            assert abs(together[b, m] - alone) <= 1e-4


def test_log_odds_start_from_the_cards_levels(scorer):
    model, cards = scorer.router.model, make_cards(4)
    with torch.no_grad():
        model.readout.weight.zero_()
        model.connector.level_weights.copy_(torch.tensor([0.25, 0.5]))
    features = card_features(cards)
    texts = [model.encoder.encode(list(t)) for t in (QUESTIONS, features.texts)]
    questions, statements = (t / np.linalg.norm(t, axis=1, keepdims=True) for t in texts)
    relevance = np.exp(10.0 * questions @ statements.T)
    relevance /= relevance.sum(axis=1, keepdims=True)
    evidence_MT = features.weights_MT
    expected = 0.25 * relevance @ evidence_MT.T + 0.5 * evidence_MT.mean(axis=1)
    assert np.allclose(scorer.log_odds(QUESTIONS, cards), expected, atol=1e-4)


def test_cards_are_encoded_again_only_when_they_change(scorer, monkeypatch):
    from modelsat.routing import scoring

    cards, reads = make_cards(4), []
    read = scoring.card_features
    monkeypatch.setattr(scoring, "card_features", lambda given: reads.append(0) or read(given))
    before = scorer.log_odds(QUESTIONS, cards)
    assert np.array_equal(scorer.log_odds(QUESTIONS, list(cards)), before)
    assert len(reads) == 1
    turned = scorer.log_odds(QUESTIONS, cards[::-1])
    assert np.allclose(turned, before[:, ::-1], atol=1e-5)
    assert len(reads) == 2


def test_scores_do_not_depend_on_candidate_names(scorer):
    cards = make_cards(4)
    renamed = [replace(card, candidate=f"other-{i}") for i, card in enumerate(cards)]
    assert np.array_equal(scorer.score(QUESTIONS, cards), scorer.score(QUESTIONS, renamed))


def test_scores_do_not_depend_on_the_order_of_statements(scorer):
    cards = make_cards(4)
    turned = [replace(card, statements=card.statements[::-1]) for card in cards]
    difference = scorer.score(QUESTIONS, cards) - scorer.score(QUESTIONS, turned)
    assert np.abs(difference).max() <= 1e-5


def test_every_statement_affects_the_score(scorer):
    card = make_cards(1)[0]
    before = scorer.log_odds(QUESTIONS, [card])
    for t, statement in enumerate(card.statements):
        other = replace(statement, num_correct=0.0 if statement.num_correct > 10 else 20.0)
        statements = (*card.statements[:t], other, *card.statements[t + 1 :])
        after = scorer.log_odds(QUESTIONS, [replace(card, statements=statements)])
        assert np.abs(after - before).max() > 1e-6


def test_saved_router_gives_the_same_scores(scorer, tmp_path):
    save_router(scorer.router, tmp_path / "router")
    loaded = Scorer(load_router(tmp_path / "router"))
    assert np.array_equal(
        loaded.score(QUESTIONS, make_cards(3)), scorer.score(QUESTIONS, make_cards(3))
    )


def test_router_directory_contains_no_pickle(scorer, tmp_path):
    save_router(scorer.router, tmp_path / "router")
    files = [path for path in (tmp_path / "router").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    for path in files:
        with path.open("rb") as stream, pytest.raises(Exception):  # noqa: B017, PT011
            pickle.load(stream)


def test_router_directory_contains_its_aptitude_tests(tmp_path):
    save_router(make_router(tmp_path / "parts"), tmp_path / "router")
    (path,) = (tmp_path / "router" / "tasks").iterdir()
    assert load_tasks(path) == TASKS
    path.write_text(path.read_text().replace("aptitude/", "other/"))
    with pytest.raises(ArtifactError, match=r"tasks/ has task sets .* but router\.json lists"):
        load_router(tmp_path / "router")


def test_encoder_input_is_truncated_to_the_configured_length(tmp_path):
    router = make_router(tmp_path / "parts")
    config = router.config.model_copy(update={"max_encoder_tokens": 8})
    _, tokenizer = build_model(config, seed=0)
    long = " ".join(["river"] * 50)
    assert router.tokenizer([long]).features["input_ids"].shape[1] > 40
    assert tokenizer([long]).features["input_ids"].shape[1] == 8
    assert tokenizer([long]).input_ids_BS.shape == router.tokenizer([long]).input_ids_BS.shape


def test_dropout_is_set_in_every_module_or_none(tmp_path):
    router = make_router(tmp_path / "parts")
    rates = {m.p for m in router.model.modules() if isinstance(m, torch.nn.Dropout)}
    assert 0.1 in rates
    model, _ = build_model(router.config.model_copy(update={"dropout": 0.25}), seed=0)
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.25}
    assert {m.attention_dropout for m in model.modules() if hasattr(m, "attention_dropout")} == {
        0.25
    }


@pytest.mark.parametrize("part", ["router.json", "head.safetensors", "base", "encoder", "tasks"])
def test_error_names_a_missing_part(tmp_path, part):
    save_router(make_router(tmp_path / "parts"), tmp_path / "router")
    (tmp_path / "router" / part).rename(tmp_path / "gone")
    with pytest.raises(ArtifactError, match=part):
        load_router(tmp_path / "router")


def test_error_names_a_corrupt_head(tmp_path):
    save_router(make_router(tmp_path / "parts"), tmp_path / "router")
    (tmp_path / "router" / "head.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(ArtifactError, match=r"head\.safetensors is missing or corrupt"):
        load_router(tmp_path / "router")


def test_rejects_another_schema_version(tmp_path):
    save_router(make_router(tmp_path / "parts"), tmp_path / "router")
    path = tmp_path / "router" / "router.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(ArtifactError, match="schema version 99"):
        load_router(tmp_path / "router")


def test_rejects_cards_of_another_task_set(scorer):
    card = replace(make_cards(1)[0], tasks_hash="another")
    with pytest.raises(ArtifactError, match="another"):
        scorer.score(QUESTIONS, [card])


def test_cards_of_another_task_set_can_be_allowed(scorer):
    card = make_cards(1)[0]
    other = replace(card, tasks_hash="another")
    lenient = Scorer(scorer.router, also_reads=["another"])
    assert np.array_equal(lenient.score(QUESTIONS, [other]), scorer.score(QUESTIONS, [card]))
    with pytest.raises(ArtifactError, match="yet-another"):
        lenient.score(QUESTIONS, [replace(card, tasks_hash="yet-another")])


def test_rejects_an_empty_zoo(scorer):
    with pytest.raises(ZooError, match="the zoo is empty"):
        scorer.score(QUESTIONS, [])


def test_read_out_starts_from_the_yes_and_no_embeddings(tmp_path):
    router = make_router(tmp_path / "parts")
    model, tokenizer = build_model(router.config, seed=3)
    from transformers import AutoModelForCausalLM

    head = AutoModelForCausalLM.from_pretrained(router.config.base).lm_head.weight
    yes, no = (tokenizer.tokenizer(word)["input_ids"][-1] for word in ("yes", "no"))
    assert torch.equal(model.readout.weight, head[[yes, no]])


def test_evidence_by_hand():
    got = evidence(np.array([0, 10, 20, 2], np.float32), np.array([20, 20, 20, 2], np.float32))
    expected = [np.log(0.5 / 20.5), 0.0, np.log(20.5 / 0.5), np.log(2.5 / 0.5)]
    assert np.allclose(got, expected, atol=1e-6)


def test_rejects_cards_about_different_tasks():
    cards = make_cards(2)
    first, *rest = cards[1].statements
    other = replace(cards[1], statements=(replace(first, task="elsewhere"), *rest))
    for pair in ([cards[0], other], [replace(cards[0], statements=tuple(rest)), other]):
        with pytest.raises(ZooError, match="different tasks"):
            card_features([*pair, cards[1]])


def test_a_card_without_a_statement_has_no_evidence_there():
    cards = make_cards(2)
    blind = replace(cards[1], statements=cards[1].statements[:2])
    for order in ([cards[0], blind], [blind, cards[0]]):
        features = card_features(order)
        m = order.index(blind)
        assert features.tasks == tuple(s.task for s in cards[0].statements)
        assert features.num_shots_MT[m, 2:].tolist() == [0.0] * (len(features.tasks) - 2)
        assert features.weights_MT[m, 2:].tolist() == [0.0] * (len(features.tasks) - 2)
        assert features.mean_evidence_M[m] == pytest.approx(features.weights_MT[m, :2].mean())


def test_calibration_recovers_scale_and_shift():
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=2.0, size=40_000).astype(np.float32)
    truth = Calibration(scale=0.6, shift=0.4)
    correct = (rng.random(len(scores)) < truth.probabilities(scores)).astype(np.float32)
    fitted = fit_calibration(scores, correct)
    assert fitted.scale == pytest.approx(0.6, abs=0.03)
    assert fitted.shift == pytest.approx(0.4, abs=0.03)


def test_long_instruction_is_truncated(tmp_path):
    router = make_router(tmp_path / "parts")
    limit = router.config.max_instruction_tokens
    long = "river " * (limit + 50)
    tokens = router.tokenizer([long, "river " * limit])
    assert torch.equal(tokens.input_ids_BS[0], tokens.input_ids_BS[1])
