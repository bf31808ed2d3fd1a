"""Both stages in one process with plain PyTorch."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from modelsat.evaluation.metrics import cell_auc
from modelsat.modeling.card_features import card_features
from modelsat.outcomes.splits import split_validation
from modelsat.routing.scoring import Scorer
from modelsat.training.config import StageConfig, TrainingConfig
from modelsat.training.stages import freeze_for_stage, parameter_groups, schedule
from tests.support.plain_training import train_in_process
from tests.support.router_parts import TOPICS, WORDS, make_matrix, make_router

CONFIG = TrainingConfig(
    batch_size=16,
    composites=8,
    connector_stage=StageConfig(epochs=2, learning_rate=1e-3, capability_learning_rate=1e-2),
    all_stage=StageConfig(epochs=4, learning_rate=1e-3, capability_learning_rate=2e-3),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A router after both stages, the base's weights before and after stage 1, the history."""
    router = make_router(tmp_path_factory.mktemp("parts"))
    training, validation = split_validation(make_matrix(), 0.2, seed=0)
    frozen = {n: p.detach().clone() for n, p in router.model.named_parameters()}
    history, after_connector = [], {}
    for result in train_in_process(
        router.model, router.tokenizer, [training], [validation], CONFIG
    ):
        history.append(result)
        if result.stage == "connector":
            after_connector = {n: p.detach().clone() for n, p in router.model.named_parameters()}
    return router, frozen, after_connector, history


def test_stage_1_trains_only_the_connector(trained):
    _, before, after, _ = trained
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("connector.") for name in changed)


def test_stage_2_trains_every_part(trained):
    router, before, _, _ = trained
    final = dict(router.model.named_parameters())
    changed = {n.split(".")[0] for n, p in final.items() if not torch.equal(p, before[n])}
    assert changed == {"base", "encoder", "connector", "readout"}


def test_validation_loss_falls_in_both_stages(trained):
    history = trained[3]
    for stage in ("connector", "all"):
        losses = [r.validation_loss for r in history if r.stage == stage]
        assert losses[-1] < losses[0]


def test_trained_router_uses_the_cards(trained):
    router = trained[0]
    cards = make_matrix().cards
    for topic, expected in (("rivers", "earth"), ("verbs", "school")):
        scores = Scorer(router).score([WORDS[topic].format("unseen")], cards)[0]
        assert cards[int(scores.argmax())].candidate == expected


def test_encoder_learns_which_statement_an_instruction_belongs_to(trained):
    router = trained[0]
    texts = card_features(make_matrix().cards).texts
    with torch.no_grad():
        statements = router.model.encode(router.tokenizer.encoder_features(texts))
        tokens = router.tokenizer([WORDS[topic].format("unseen") for topic in TOPICS])
        instructions = router.model.encode(tokens.features)
        relevance = router.model.connector.log_relevance(instructions, statements)
    assert relevance.argmax(1).tolist() == list(range(len(TOPICS)))
    assert torch.allclose(relevance.exp().sum(1), torch.ones(len(TOPICS)))


def test_rates_differ_by_part_and_vectors_do_not_decay(tmp_path):
    model = make_router(tmp_path).model
    freeze_for_stage(model, "all")
    rate_of = {}
    for group in parameter_groups(model, CONFIG.all_stage, weight_decay=0.1):
        for parameter in group["params"]:
            rate_of[id(parameter)] = (group["lr"], group["weight_decay"])
    for name, parameter in model.named_parameters():
        rate = 2e-3 if name.startswith(("encoder.", "connector.")) else 1e-3
        assert rate_of[id(parameter)] == (rate, 0.1 if parameter.ndim > 1 else 0.0)


def test_low_layers_and_embeddings_can_be_frozen(tmp_path):
    model = make_router(tmp_path).model
    freeze_for_stage(model, "all", frozen_layers=1)
    trained = {
        name for name, p in model.named_parameters() if p.requires_grad and "pooler" not in name
    }
    assert {name.split(".")[0] for name in trained} == {"base", "connector", "readout"}
    base = {name for name in trained if name.startswith("base.")}
    assert base == {
        name
        for name, _ in model.named_parameters()
        if name.startswith(("base.layers.1.", "base.norm."))
    }
    freeze_for_stage(model, "all", frozen_layers=0)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    kept = {name for name, _ in model.named_parameters()} - trained
    assert kept
    assert all("embed" in name for name in kept)
    assert not any("layer" in name for name in kept)


def test_schedule_rises_then_falls_to_zero():
    factor = schedule(CONFIG, total_steps=100)
    values = [factor(step) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == pytest.approx(1.0)
    assert values.index(max(values)) in (9, 10)
    assert values[100] == 0.0


def test_auc_equals_scikit_learn():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, size=(40, 5)).astype(np.float32)
    correct = rng.integers(0, 2, size=(40, 5)).astype(np.float32)
    correct[0, 0] = np.nan
    known = ~np.isnan(correct)
    assert cell_auc(scores, correct) == pytest.approx(roc_auc_score(correct[known], scores[known]))
    assert cell_auc(scores, np.ones_like(scores)) is None
