"""Runs of 20 steps by one or two ranks, and how far apart they move the weights."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

ROOT = Path(__file__).parents[3]
STEPS_PER_EPOCH = 10
ALL_TERMS = {"in_batch_weight": 1.0, "pointwise_weight": 1.0}
# The members of a group stand in one pass, so this term depends on the size of a pass.
WITHOUT_GROUPS = {**ALL_TERMS, "in_batch_weight": 0.0}
LORA = {"lora": {"rank": 4, "alpha": 8.0}}
ZERO_3 = {"zero_stage": 3}


def case(name: str, **changes: Any) -> dict[str, Any]:
    """One run of two epochs of ten steps of 16 instructions on two workers of 8 each."""
    stage = {
        "epochs": 2,
        "max_steps": STEPS_PER_EPOCH,
        "learning_rate": 1e-3,
        "capability_learning_rate": 2e-3,
    }
    training = {
        "batch_size": 8,
        "composites": 6,
        "loss": ALL_TERMS,
        "connector_stage": stage,
        "all_stage": stage,
    }
    values = {
        "name": name,
        "stage": "all",
        "training": training,
        "deepspeed": {"zero_stage": 2, "precision": "float32"},
    }
    for section, settings in changes.items():
        values[section] = (
            {**values[section], **settings} if isinstance(settings, dict) else settings
        )
    return values


TWO_WORKERS = [
    case("two"),
    case("two-without-groups", training={"loss": WITHOUT_GROUPS}),
    case("two-zero-3", deepspeed=ZERO_3),
    case("two-resumed", continues="two"),
    case("two-zero-3-resumed", deepspeed=ZERO_3, continues="two-zero-3"),
    case("two-lora", training=LORA),
    case("two-lora-zero-3", training=LORA, deepspeed=ZERO_3),
    case("two-lora-resumed", training=LORA, continues="two-lora"),
    case("two-lora-zero-3-resumed", training=LORA, deepspeed=ZERO_3, continues="two-lora-zero-3"),
    case(
        "two-lora-recomputed", training=LORA, deepspeed={**ZERO_3, "activation_checkpointing": True}
    ),
    case("two-connector", stage="connector"),
    case("two-connector-zero-3", stage="connector", deepspeed=ZERO_3),
    case("two-recomputed", deepspeed={"activation_checkpointing": True}),
    case("two-apart", leaves_out_reductions=True),
]
ONE_WORKER = [
    case("one-accumulates", training={"gradient_accumulation_steps": 2}),
    case("one-large", training={"batch_size": 16, "loss": WITHOUT_GROUPS}),
    case(
        "one-small",
        training={"batch_size": 4, "gradient_accumulation_steps": 4, "loss": WITHOUT_GROUPS},
    ),
]


def run_ranks(plan: Path, num_workers: int, accelerator: str = "cpu") -> None:
    """Run the cases of a plan as so many processes on a port of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = os.environ | {
        "WORLD_SIZE": str(num_workers),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": "1",
        "DS_ACCELERATOR": accelerator,
    }
    command = [sys.executable, "-m", "tests.support.train_jobs.train_ranks", str(plan)]
    ranks = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(num_workers)
    ]
    try:
        for process in ranks:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output[-3000:]
    finally:
        for process in ranks:
            process.kill()
            process.wait()


def moved_apart(runs: Path, first: str, second: str) -> float:
    """Distance between two runs' weights over the distance that the first moved them."""
    start, one, two = (
        safetensors.torch.load_file(runs / f"{name}.safetensors")
        for name in ("start", first, second)
    )

    def distance(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
        squares = [((left[name] - right[name]).double() ** 2).sum() for name in start]
        return float(torch.stack(squares).sum().sqrt())

    assert distance(one, start) > 0.1
    return distance(one, two) / distance(one, start)
