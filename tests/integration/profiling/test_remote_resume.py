"""A run over a URL killed with -9 goes on where it stopped and ends the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_json, read_table
from modelsat.capability.cards import Card, read_cards
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from tests.support.profiling.killable import starting_runs
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
from tests.support.upstream import running_upstream

pytestmark = pytest.mark.ray

REPLICAS = 2
LATENCY_S = 0.3


def _results(out: Path) -> tuple[list[dict[str, Any]], dict[str, Card]]:
    outcomes = read_table(OUTCOMES, out / "outcomes.parquet").to_pylist()
    return outcomes, read_cards(out / "cards.parquet")


def test_a_killed_run_repeats_a_block_per_replica_and_ends_the_same(
    tmp_path: Path, ray_cluster: None
) -> None:
    write_inputs(tmp_path)
    with (
        running_upstream(context_words=CONTEXT_WORDS, latency_s=LATENCY_S) as upstream,
        starting_runs(MODELSAT_TEST_KEY="sk-test") as start,
    ):
        far = remote("far", upstream.url, api_key_env="MODELSAT_TEST_KEY")
        config = configure(tmp_path, "killed", far, replicas=REPLICAS)
        checkpoints = tmp_path / "killed" / "checkpoints" / "far"
        run = start(config, checkpoints)
        run.wait_until_kept(0.4 * NUM_QUESTIONS)
        fall_silent(run, upstream, REPLICAS)
        run.kill_driver()
        num_kept, num_lost = run.num_kept(), run.num_lost()
        assert num_lost == REPLICAS * BLOCK_SIZE

        upstream.behave(context_words=CONTEXT_WORDS)
        rerun = start(config, checkpoints)
        said = rerun.end()
        assert rerun.process.returncode == 0, said
        assert f"far: {num_kept} questions are settled by an earlier run" in said
        assert {headers["Authorization"] for _, headers, _ in upstream.requests} == {
            "Bearer sk-test"
        }
        unbroken = configure(tmp_path, "unbroken", remote("far", upstream.url))
        profile_zoo(ProfileConfig.model_validate(yaml.safe_load(unbroken.read_text())))
    [row] = read_json(tmp_path / "killed" / "report.json")["candidates"]
    assert row["num_resumed"] == num_kept
    assert row["num_repeated"] == num_lost
    assert row["num_failed"] == NUM_TOO_LONG
    assert _results(tmp_path / "killed") == _results(tmp_path / "unbroken")
    assert not checkpoints.exists()
