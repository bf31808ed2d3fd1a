"""Activation checkpointing changes no gradient."""

import torch

from modelsat.modeling.model import ModelSat
from modelsat.training.config import LoraConfig, StageConfig, TrainingConfig
from modelsat.training.stages import adapt_for_stage, freeze_for_stage
from tests.support.router_parts import make_router
from train_jobs.footprint import PassShape, pass_inputs
from train_jobs.recomputation import recompute_activations

STAGE = StageConfig(epochs=1, learning_rate=1e-2, capability_learning_rate=1e-3)
CONFIG = TrainingConfig(lora=LoraConfig(rank=4), connector_stage=STAGE, all_stage=STAGE)


def gradients(model: ModelSat) -> dict[str, torch.Tensor]:
    shape = PassShape(
        instructions=2,
        candidates=3,
        statements=4,
        base_tokens=9,
        encoder_tokens=7,
        statement_tokens=5,
    )
    tokens, statements, weights_MT = pass_inputs(shape)
    model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    scores, relevance, _ = model(tokens, statements, weights_MT + torch.linspace(-1, 1, 4))
    (scores.square().sum() + relevance.square().sum()).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == {name for name in trained if "pooler" not in name}
    return found


def test_activation_checkpointing_does_not_change_gradients(tmp_path):
    model = make_router(tmp_path).model
    adapt_for_stage(model, "all", CONFIG)
    freeze_for_stage(model, "all")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.1)
    kept = gradients(model)
    recompute_activations(model)
    freeze_for_stage(model, "all")
    again = gradients(model)
    assert again.keys() == kept.keys()
    for name, value in kept.items():
        assert torch.allclose(again[name], value, rtol=1e-4, atol=1e-6), name
