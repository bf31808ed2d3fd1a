"""Weights after 20 steps do not depend on how the work is spread, sharded, cut or interrupted."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from modelsat.modeling.tiny import write_tiny_parts
from tests.support.router_parts import make_matrix
from tests.support.train_jobs.distributed import (
    ONE_WORKER,
    TWO_WORKERS,
    moved_apart,
    run_ranks,
)

TOLERANCE = 1e-3  # of the distance that the weights moved


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Folder with the weights of every case, and those before."""
    folder = tmp_path_factory.mktemp("runs")
    base, encoder = write_tiny_parts(folder / "parts", make_matrix().instructions, seed=0)
    for num_workers, cases in ((2, TWO_WORKERS), (1, ONE_WORKER)):
        plan = folder / f"{num_workers}.json"
        parts = {"base": str(base), "encoder": str(encoder)}
        plan.write_text(json.dumps({"parts": parts, "out": str(folder), "cases": cases}))
        run_ranks(plan, num_workers)
    return folder


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("two", "one-accumulates"),
        ("two-without-groups", "one-large"),
        ("one-large", "one-small"),
        ("two", "two-zero-3"),
        ("two", "two-recomputed"),
        ("two-lora", "two-lora-zero-3"),
        ("two-lora", "two-lora-recomputed"),
    ],
    ids=[
        "workers",
        "batch",
        "accumulation",
        "sharding",
        "recomputation",
        "sharding-with-adapters",
        "recomputation-with-adapters",
    ],
)
def test_weights_do_not_depend_on_how_a_step_is_distributed(runs, first, second):
    assert moved_apart(runs, first, second) <= TOLERANCE


@pytest.mark.parametrize("name", ["two", "two-zero-3", "two-lora", "two-lora-zero-3"])
def test_resumed_run_equals_an_uninterrupted_run(runs, name):
    assert moved_apart(runs, name, f"{name}-resumed") <= TOLERANCE


def test_missing_gradient_reduction_is_detected(runs):
    """What the tolerance would not let pass: workers that train on their own gradients."""
    assert moved_apart(runs, "two", "two-apart") > 30 * TOLERANCE


@pytest.mark.parametrize("name", ["two-connector", "two-connector-zero-3"])
def test_stage_1_trains_only_the_connector(runs, name):
    start, end = (
        safetensors.torch.load_file(runs / f"{file}.safetensors") for file in ("start", name)
    )
    assert start.keys() == end.keys()
    moved = {key for key, value in end.items() if not torch.equal(value, start[key])}
    assert moved
    assert all(key.startswith("connector.") for key in moved)
