"""Candidates behind URLs sit the aptitude test through the same pipeline as local ones."""

from pathlib import Path

import pytest
import yaml

from modelsat.capability.cards import read_cards
from modelsat.errors import GradingError
from profiling.aptitude_test import run_from_file
from tests.support.profiling.tiny_model import save_tiny_model, zoo_entry
from tests.support.profiling.url_bench import (
    CONTEXT_WORDS,
    MAX_NEW_TOKENS,
    NUM_QUESTIONS,
    NUM_TOO_LONG,
    configure,
    question,
    remote,
    write_inputs,
)
from tests.support.upstream import running_upstream

pytestmark = pytest.mark.ray

DEADLINE_S = 60  # of each; the URL that hangs takes all of it, a start some 10 s


def test_no_end_of_one_candidate_touches_another(tmp_path: Path, ray_cluster: None) -> None:
    """Bad rows, a URL that hangs, a missing key, and before them one that no machine can hold."""
    write_inputs(tmp_path)
    save_tiny_model(tmp_path / "tiny", seed=0)
    homeless = zoo_entry("homeless", tmp_path / "tiny")
    homeless["llm_config"]["placement_group_config"]["bundles"] = [{"CPU": 1000}]
    with (
        running_upstream(context_words=CONTEXT_WORDS) as steady,
        running_upstream(fault="silence") as hanging,
    ):
        path = configure(
            tmp_path,
            "faults",
            homeless,
            remote("steady", steady.url),
            remote("hanging", hanging.url),
            remote("keyless", steady.url, api_key_env="MODELSAT_TEST_NO_SUCH_KEY"),
            replicas=2,
            max_parallel_candidates=2,
            candidate_deadline_s=DEADLINE_S,
        )
        with pytest.raises(GradingError, match="3 of 4 candidates could not be profiled") as ended:
            run_from_file(str(path), [], as_json=False)
    said = str(ended.value)
    assert "'homeless': 0 questions answered when its deadline" in said
    assert "found no room" in said
    assert f"'hanging': 0 questions answered when its deadline of {DEADLINE_S} s passed" in said
    assert f"{hanging.url} is too slow or does not answer" in said
    assert "'keyless': environment variable MODELSAT_TEST_NO_SUCH_KEY is not set" in said

    report = yaml.safe_load((tmp_path / "faults" / "report.json").read_text())
    [row] = report["candidates"]
    expected = [question(i) for i in range(NUM_QUESTIONS)]
    long = [question for question in expected if len(question["prompt"].split()) > CONTEXT_WORDS]
    assert len(long) == NUM_TOO_LONG
    answered = [question for question in expected if question not in long]
    num_correct = sum(question["answer"] == "fake-0 fake-1" for question in answered)
    assert (row["candidate"], row["num_engines"]) == ("steady", 2)
    assert row["num_correct"] == num_correct
    assert row["num_truncated"] == len(answered) - num_correct  # each ends at its limit of tokens
    assert row["num_failed"] == NUM_TOO_LONG
    assert row["completion_tokens"] == MAX_NEW_TOKENS * len(answered)
    assert row["prompt_tokens"] == sum(len(question["prompt"].split()) for question in answered)
    assert list(read_cards(tmp_path / "faults" / "cards.parquet")) == ["steady"]
