"""The plan of a job: real shapes, and memory against what a real run takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from modelsat.config import load_config
from modelsat.training.stages import adapt_for_stage, freeze_for_stage, parameter_groups
from tests.support.train_jobs.measure_memory import measure
from tests.support.train_jobs.toy_job import job_values, write_toy_tables
from train_jobs.config import TrainJobConfig
from train_jobs.plan import make_plan
from train_jobs.shapes import build_shapes

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "train_jobs" / "configs"
PARTS = ROOT / "tests" / "model_configs"
PAPER = {"base": "phi-3-mini-4k-instruct", "encoder": "e5-large-v2"}
SMALL = {"base": "qwen2.5-0.5b", "encoder": "bge-small-en-v1.5"}
PAPER_CANDIDATES = 66  # LLMs that the paper trains on


def shipped(name: str, parts: dict[str, str], *changes: str) -> TrainJobConfig:
    """A shipped configuration with its parts' published configurations."""
    local = [f"model.{part}={PARTS / folder}" for part, folder in parts.items()]
    return load_config(TrainJobConfig, CONFIGS / f"{name}.yaml", [*local, *changes])


def command_line(*arguments: str) -> str:
    """Output of ``modelsat train`` with some arguments."""
    command = [sys.executable, "-m", "modelsat.cli", "train", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_paper_has_the_published_layers_and_the_stages_learning_rates():
    config = shipped("paper", PAPER)
    with torch.device("meta"):
        model = build_shapes(config.model)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    # Names and shapes as in the published weights' indices, under the names of our parts.
    assert shapes["base.embed_tokens.weight"] == (32064, 3072)
    for layer in (0, 31):
        prefix = f"base.layers.{layer}"
        assert shapes[f"{prefix}.self_attn.qkv_proj.weight"] == (9216, 3072)
        assert shapes[f"{prefix}.self_attn.o_proj.weight"] == (3072, 3072)
        assert shapes[f"{prefix}.mlp.gate_up_proj.weight"] == (16384, 3072)
        assert shapes[f"{prefix}.mlp.down_proj.weight"] == (3072, 8192)
    assert "base.layers.32.mlp.down_proj.weight" not in shapes
    assert shapes["encoder.0.model.encoder.layer.23.output.dense.weight"] == (1024, 4096)
    assert shapes["connector.linear.weight"] == (3072, 1024 + 2)
    counts = {n: sum(p.numel() for p in part.parameters()) for n, part in model.named_children()}
    # Published: 3,821,079,552 with the head of 32064 x 3072 that the read-out replaces.
    assert counts["base"] + 32064 * 3072 == 3_821_079_552
    assert counts["encoder"] == 335_141_888
    freeze_for_stage(model, "connector")
    groups = parameter_groups(model, config.training.connector_stage, 0.01)
    vectors, matrices = sorted(groups, key=lambda group: group["weight_decay"])
    assert [p.shape for p in matrices["params"]] == [(3072, 1026)]
    assert (matrices["lr"], vectors["lr"]) == (1e-3, 1e-3)
    freeze_for_stage(model, "all")
    groups = parameter_groups(model, config.training.all_stage, 0.01)
    by_rate = dict.fromkeys((1e-5, 1e-4), 0)
    for group in groups:
        by_rate[group["lr"]] += sum(p.numel() for p in group["params"])
    assert by_rate[1e-5] == counts["base"] + counts["readout"]
    assert by_rate[1e-4] == counts["encoder"] + counts["connector"]


@pytest.mark.parametrize(
    ("name", "num_workers", "zero_stage"),
    [
        ("paper-1-gpu", 1, 2),
        ("paper-1-gpu-lora", 1, 2),
        ("paper", 2, 2),
        ("paper-8-gpus", 8, 2),
        ("paper-2x8-gpus", 16, 3),
    ],
)
def test_paper_fits_its_gpus_with_the_papers_candidates(name, num_workers, zero_stage):
    config = shipped(name, PAPER)
    assert (config.resources.num_workers, config.deepspeed.zero_stage) == (num_workers, zero_stage)
    plan = make_plan(config, PAPER_CANDIDATES)
    assert plan.instructions_per_step == 64
    assert plan.available == 80 * 2**30
    assert plan.total < 0.9 * plan.available
    trained = sum(plan.footprint.trained.values())
    assert plan.memory.optimizer_states == pytest.approx(8 * trained / num_workers, rel=1e-6)


def test_adapters_of_paper_stand_beside_every_linear_layer_of_the_base():
    config = shipped("paper-1-gpu-lora", PAPER)
    with torch.device("meta"):
        model = build_shapes(config.model)
        adapt_for_stage(model, "all", config.training)
    freeze_for_stage(model, "all")
    trained = sum(p.numel() for p in model.base.parameters() if p.requires_grad)
    # Of rank 16 beside qkv, o, gate with up, and down of 32 layers.
    sizes = (3072 + 9216) + (3072 + 3072) + (3072 + 16384) + (8192 + 3072)
    assert trained == 16 * 32 * sizes


def test_the_command_prints_the_plan_and_starts_nothing(tmp_path):
    config = tmp_path / "job.json"
    config.write_text(json.dumps(job_values(write_toy_tables(tmp_path), tmp_path / "run")))
    shown = command_line("--config", str(config), "--plan")
    for word in ("parameters", "learning rates", "optimizer states", "tokens at most", "about"):
        assert word in shown
    plan = json.loads(command_line("--config", str(config), "--dry-run", "--json"))
    assert plan["candidates"] == 3
    assert plan["instructions_per_step"] == 16
    assert plan["steps"] == 5 * (plan["training_instructions"] // 16)
    assert not (tmp_path / "run").exists()


@pytest.mark.alone
def test_the_planned_memory_is_what_a_run_of_small_takes(tmp_path):
    """Its full shape, which takes 13 GB; only the instructions are fewer and shorter."""
    values = shipped("small", SMALL).model_dump(mode="json")
    values["model"]["max_instruction_tokens"] = 64
    values["training"]["batch_size"] = 1
    values["resources"] = {"num_workers": 1, "threads_per_worker": 2}
    config = TrainJobConfig.model_validate(values)
    plan = make_plan(config, 20)
    assert plan.total == pytest.approx(measure(tmp_path, config, plan).peak, rel=0.15)
