"""Models without weights: their shapes, and what they say about adapters."""

import sys

import pytest
import torch

from modelsat.errors import ConfigError, MachineError
from modelsat.training.config import LoraConfig
from tests.support.router_parts import make_router
from train_jobs.shapes import build_shapes, check_adapters

LORA = LoraConfig(rank=4)


def test_shapes_match_the_real_model(tmp_path):
    router = make_router(tmp_path)
    with torch.device("meta"):
        shapes = build_shapes(router.config)
    built = [(name, p.shape) for name, p in router.model.named_parameters()]
    assert [(name, p.shape) for name, p in shapes.named_parameters()] == built
    assert {p.device.type for p in shapes.parameters()} == {"meta"}


def test_unknown_target_module_error_lists_the_linear_layers():
    check_adapters("tiny", LORA)
    other = LORA.model_copy(update={"target_modules": ("qkv_proj", "nothing")})
    with pytest.raises(ConfigError, match=r"'nothing'.*LlamaModel.*down_proj, gate_proj"):
        check_adapters("tiny", other)


def test_missing_peft_raises_machine_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MachineError, match=r"training\.lora needs the package peft"):
        check_adapters("tiny", LORA)
