"""Train a stage on the toy matrix as one of several ranks; save the weights of each case.

``python -m tests.support.train_jobs.train_ranks PLAN.json``, with ``RANK`` and ``WORLD_SIZE``
in the environment. The plan: where the parts are, and the cases to run one after the other.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
import safetensors.torch
import torch

from modelsat.modeling.config import ModelConfig
from modelsat.modeling.loading import build_model
from modelsat.training.batches import BatchSampler
from modelsat.training.config import TrainingConfig
from modelsat.training.loop import StageRunner
from modelsat.training.stages import adapt_for_stage, freeze_for_stage, load_trained
from tests.support.router_parts import make_matrix
from train_jobs.config import DeepSpeedConfig
from train_jobs.deepspeed_engine import DeepSpeedEngine, start_distributed

EPOCHS = 2


def train(case: dict[str, Any], parts: dict[str, str], out: Path) -> None:
    """Train both epochs, or those that a checkpoint of another case lacks."""
    rank, num_workers = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    config = TrainingConfig.model_validate(case["training"])
    options = DeepSpeedConfig.model_validate(case["deepspeed"])
    matrix = make_matrix()
    model, tokenizer = build_model(ModelConfig(**parts, dropout=0.0), seed=0)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    sampler = BatchSampler(
        [matrix],
        batch_size=config.batch_size,
        composites=config.composites,
        seed=config.seed,
        max_steps=config.all_stage.max_steps,
        accumulation=config.gradient_accumulation_steps,
        rank=rank,
        num_workers=num_workers,
    )
    stage = case["stage"]
    adapt_for_stage(model, stage, config)
    freeze_for_stage(model, stage)
    engine = DeepSpeedEngine(model, stage, config, options, EPOCHS * sampler.steps_per_epoch)
    first = 1
    if "continues" in case:
        engine.load(out / case["continues"])
        first = EPOCHS
    runner = StageRunner(engine, tokenizer, [matrix], config, engine.device)
    for epoch in range(first, EPOCHS + 1):
        freeze_for_stage(engine.model, stage)
        runner.train_epoch(sampler, epoch, lambda result: None)
        if epoch < EPOCHS:
            engine.save(out / case["name"])
    state = engine.full_state()
    if rank == 0:
        if config.lora is not None:
            model, _ = build_model(ModelConfig(**parts, dropout=0.0), seed=0)
            load_trained(model, stage, config, state)
            state = dict(model.named_parameters())
        safetensors.torch.save_file(state, out / f"{case['name']}.safetensors")
        safetensors.torch.save_file(start, out / "start.safetensors")


def leave_out_reductions() -> None:
    """Let every worker keep its own gradients."""
    for name in ("all_reduce", "reduce", "reduce_scatter_tensor", "reduce_scatter_fn"):
        setattr(deepspeed.comm, name, lambda *args, **options: None)


def main(path: str) -> None:
    """Run the cases of a plan."""
    plan = json.loads(Path(path).read_text())
    torch.set_num_threads(1)
    start_distributed("gloo" if os.environ["DS_ACCELERATOR"] == "cpu" else "nccl")
    for case in plan["cases"]:
        if case.get("leaves_out_reductions"):
            leave_out_reductions()
        train(case, plan["parts"], Path(plan["out"]))


if __name__ == "__main__":
    main(sys.argv[1])
