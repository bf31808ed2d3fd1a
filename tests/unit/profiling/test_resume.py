"""A run whose questions an earlier one has all settled needs no cluster."""

import pytest

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_table
from modelsat.capability.cards import read_cards
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from profiling.work import plan_run
from tests.support.profiling.zoo_files import QUESTION_IDS


def _settle(config: ProfileConfig, name: str, *failed: str) -> None:
    """Keep all answers of a candidate, as its engines would have; those named fail in each run."""
    [work] = [work for work in plan_run(config).works if work.candidate.name == name]
    for run in range(config.max_asking_runs):
        ids = QUESTION_IDS if run == 0 else failed
        rows = [
            {
                "question_id": question_id,
                "candidate": name,
                "source": "profiling",
                "correct": None if question_id in failed else 1.0,
                "failure": "failed: boom" if question_id in failed else None,
                "engine_request": 0,
            }
            for question_id in ids
        ]
        work.checkpoint.end_batch(work.checkpoint.begin_batch(ids), rows)


def test_run_killed_before_writing_its_table_sends_no_new_requests(
    config: ProfileConfig,
) -> None:
    _settle(config, "alpha")
    _settle(config, "Beta/2", "q5")
    report = profile_zoo(config)
    assert report["failures"] == []
    alpha, beta = report["candidates"]
    assert (alpha["num_correct"], alpha["num_failed"], alpha["num_resumed"]) == (6, 0, 6)
    assert (beta["num_correct"], beta["num_failed"], beta["num_repeated"]) == (5, 1, 0)
    outcomes = read_table(OUTCOMES, config.output_dir / "outcomes.parquet")
    assert outcomes["question_id"].to_pylist() == [*QUESTION_IDS, *QUESTION_IDS]
    assert list(read_cards(config.output_dir / "cards.parquet")) == ["alpha", "Beta/2"]
    assert list((config.output_dir / "checkpoints").iterdir()) == []


def test_final_failures_are_reported_without_new_requests(
    config: ProfileConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    _settle(config, "alpha", "q0", "q1")
    _settle(config, "Beta/2")
    report = profile_zoo(config)
    [failure] = report["failures"]
    assert failure["candidate"] == "alpha"
    assert "2 of 6 questions failed" in failure["reason"]
    assert "each failed in 3 run(s) and is not asked again" in failure["reason"]
    assert list(read_cards(config.output_dir / "cards.parquet")) == ["Beta/2"]
    assert "6 questions are settled by an earlier run" in capsys.readouterr().err
