"""Both jobs on a cluster of several nodes that loses a node."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_json, read_table
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from profiling.engines.openai import UrlReplica
from tests.support.nodes import Nodes, simulated_nodes
from tests.support.profiling.killable import ROOT, starting_runs
from tests.support.profiling.tiny_model import save_tiny_model, zoo_entry
from tests.support.profiling.url_bench import (
    BLOCK_SIZE,
    CONTEXT_WORDS,
    NUM_QUESTIONS,
    NUM_TOO_LONG,
    configure,
    fall_silent,
    remote,
    write_inputs,
)
from tests.support.train_jobs.toy_job import overfitting_job, weights
from tests.support.upstream import running_upstream
from train_jobs.config import TrainJobConfig
from train_jobs.job import TrainSummary

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

REPLICA = f"ray::MapWorker(MapBatches({UrlReplica.__name__}"
ENGINE = "ray::MapWorker(MapBatches(CheckpointedEngine"
TRAINING_WORKER = "ray::RayTrainWorker"
CHAT = "/v1/chat/completions"
LATENCY_S = 0.5


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with simulated_nodes() as nodes:
        nodes.add(num_cpus=4)
        yield nodes


def test_a_lost_node_costs_an_aptitude_test_a_block_per_replica(
    nodes: Nodes, ray_cluster: None, tmp_path: Path
) -> None:
    """Beside it, a candidate waits for a node with what it asks for, and its engine finds it."""
    write_inputs(tmp_path)
    save_tiny_model(tmp_path / "tiny", seed=0)
    special = zoo_entry("special", tmp_path / "tiny")
    special["llm_config"]["placement_group_config"]["bundles"] = [{"CPU": 1, "special": 1}]
    with (
        running_upstream(context_words=CONTEXT_WORDS, latency_s=LATENCY_S) as upstream,
        starting_runs(RAY_ADDRESS=nodes.address) as start,
    ):
        far = remote("far", upstream.url)
        config = configure(
            tmp_path,
            "lost",
            far,
            special,
            max_parallel_candidates=2,
            candidate_deadline_s=600,
            remote={"far": {"request_timeout_s": 600}},
        )
        run = start(config, tmp_path / "lost" / "checkpoints" / "far")
        run.wait_until_kept(0.4 * NUM_QUESTIONS)
        # However long the nodes take, the candidate ends only after it has lost its own.
        fall_silent(run, upstream, replicas=1)
        [lost] = nodes.holding(REPLICA)
        nodes.add(num_cpus=4)
        only = nodes.add(num_cpus=1, special=1)
        upstream.behave(context_words=CONTEXT_WORDS, latency_s=LATENCY_S)
        nodes.kill(lost)
        run.wait_until(lambda: bool(nodes.holding(ENGINE)))
        assert nodes.holding(ENGINE) == [only]
        said = run.end(timeout_s=700)
        num_requests = upstream.num_requests[CHAT]
        unbroken = configure(tmp_path, "unbroken", far, special)
        values = yaml.safe_load(unbroken.read_text()) | {"candidates": ["far"]}
        profile_zoo(ProfileConfig.model_validate(values))
    assert run.process.returncode == 0, said
    rows = {row["candidate"]: row for row in read_json(tmp_path / "lost/report.json")["candidates"]}
    assert rows["far"]["num_repeated"] == BLOCK_SIZE
    # A question that is too long is asked twice, of the lost block's at most one both times.
    assert num_requests <= NUM_QUESTIONS + NUM_TOO_LONG + BLOCK_SIZE + 1
    assert rows["special"]["num_failed"] == 0
    assert _far(tmp_path / "lost") == _far(tmp_path / "unbroken")


def _far(out: Path) -> list[dict[str, Any]]:
    rows = read_table(OUTCOMES, out / "outcomes.parquet").to_pylist()
    return [row for row in rows if row["candidate"] == "far"]


def test_training_goes_on_without_a_lost_node(
    nodes: Nodes,
    noisy_tables: Path,
    stopped: tuple[TrainJobConfig, TrainSummary],
    tmp_path: Path,
) -> None:
    values = overfitting_job(noisy_tables, tmp_path).model_dump(mode="json")
    values["resources"] = {"num_workers": 2, "max_failures": 1}
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(values))
    run = _start_training(config, nodes)
    try:
        _lose_a_worker(run, nodes, tmp_path)
        said, _ = run.communicate(timeout=600)
    finally:
        run.kill()
        run.communicate()
    assert run.returncode == 0, said
    assert "continuing after stage" in said
    unbroken, found = weights(stopped[0]), weights(TrainJobConfig.model_validate(values))
    assert found.keys() == unbroken.keys()
    for key, value in unbroken.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)


def _start_training(config: Path, nodes: Nodes) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "train_jobs.train_router", "--config", str(config)],
        cwd=ROOT,
        env=os.environ | {"RAY_ADDRESS": nodes.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _lose_a_worker(run: subprocess.Popen[str], nodes: Nodes, out: Path) -> None:
    """Kill a node with a training worker once two checkpoints are there."""
    assert run.stdout is not None
    for _line in run.stdout:
        if len(list((out / "training").glob("toy-*/checkpoint_*/progress.json"))) >= 1:
            break
    assert run.poll() is None, "training ended before its node could be lost"
    lost = nodes.holding(TRAINING_WORKER)[0]
    nodes.add(num_cpus=4)
    nodes.kill(lost)
