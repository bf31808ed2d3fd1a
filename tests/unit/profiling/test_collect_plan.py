"""The sample of a collection, and its dry run; nobody is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.config import load_config
from modelsat.errors import ArtifactError, ConfigError, ZooError
from profiling.collect import collect, print_plan
from profiling.collect_config import CollectConfig
from profiling.traffic_sample import kept_sample

PRICE = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 10}


def write(folder: Path, **changes: Any) -> Path:
    prompts = ["What is rain?", "what is  rain?", "Sort a list in Python.", "Sue a bank?"]
    bodies = [{"messages": [{"role": "user", "content": text}]} for text in prompts]
    lines = [*map(json.dumps, bodies), json.dumps({"messages": []})]
    (folder / "p.jsonl").write_text("\n".join(lines))
    entry = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    entry |= {"context_window": 4096, "price": PRICE}
    candidates = [{**entry, "name": name} for name in ("a", "b", "c")]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": candidates}))
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "prompts": [str(folder / "p.jsonl")],
        "output_dir": str(folder / "out"),
        "max_new_tokens": 36,
        **changes,
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    return folder / "c.yaml"


def test_a_dry_run_says_what_would_be_asked_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, budget={"max_requests": 8})
    print_plan(str(path), [], as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["num_read"], said["num_distinct"], said["num_sampled"]) == (4, 3, 3)
    assert sum(said["left_out"].values()) == 1
    assert set(said["at_most"]) == {"a", "b", "c"}
    assert said["at_most"]["a"]["requests"] == 3
    assert said["num_within_budget"] == 2
    print_plan(str(path), [], as_json=False)
    text = capsys.readouterr().out
    assert "a: 3 requests, at most" in text
    assert "the budget is too small: nothing would be asked" in text
    assert "rain" not in text
    assert not (tmp_path / "out").exists()


def test_the_sample_is_drawn_once_and_another_one_is_refused(tmp_path: Path) -> None:
    config = load_config(CollectConfig, write(tmp_path))
    questions, facts = kept_sample(config, 3)
    assert kept_sample(config, 3) == (questions, facts)
    cheaper = load_config(CollectConfig, write(tmp_path, budget={"max_requests": 8}))
    assert kept_sample(cheaper, 3) == (questions, facts)
    for changes in ({"seed": 1}, {"grader": "vote", "num_topics": 2}):
        with pytest.raises(ConfigError, match="holds a sample that was drawn with other settings"):
            kept_sample(load_config(CollectConfig, write(tmp_path, **changes)), 3)


def test_prompts_that_come_later_do_not_change_the_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(CollectConfig, write(tmp_path))
    before = kept_sample(config, 3)
    with (tmp_path / "p.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"prompt": "One more?"}))
    capsys.readouterr()
    assert kept_sample(config, 3) == before
    assert "the prompts have changed since the sample was drawn" in capsys.readouterr().err


def test_without_a_prompt_the_reasons_are_given(tmp_path: Path) -> None:
    config = load_config(CollectConfig, write(tmp_path))
    (tmp_path / "p.jsonl").write_text(json.dumps({"input": "x"}))
    with pytest.raises(ArtifactError, match=r"no prompt to ask; left out: 1 \(not a chat request"):
        kept_sample(config, 3)


def test_two_candidates_cannot_vote_and_a_judge_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 candidates cannot vote"):
        collect(load_config(CollectConfig, write(tmp_path, candidates=["a", "b"])))
    assert not (tmp_path / "out" / "sample.parquet").exists()
    with pytest.raises(ZooError, match="'nobody'"):
        print_plan(str(write(tmp_path, judge={"name": "nobody"})), [], as_json=False)


def test_two_candidates_are_enough_where_every_prompt_has_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"benchmark": "own", "task": "sums", "prompt": "1 + 1?", "answer": "2"}
    write_table(QUESTIONS, [{"question_id": "q1", **row}], tmp_path / "q.parquet")
    prompts = [str(tmp_path / "q.parquet")]
    path = write(tmp_path, candidates=["a", "b"], prompts=prompts)
    print_plan(str(path), [], as_json=True)
    assert set(json.loads(capsys.readouterr().out)["at_most"]) == {"a", "b"}


def test_a_budget_for_nothing_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    config = load_config(CollectConfig, write(tmp_path, budget={"max_tokens": 10}))
    with pytest.raises(ConfigError, match="the budget allows fewer than 3 prompts"):
        collect(config)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grader": "judge"}, "set judge.name"),
        ({"grader": "choice"}, "grader"),
        ({"prompts": []}, "prompts"),
        ({"budget": {"max_usd": 0}}, r"budget\.max_usd"),
        ({"duplicate_similarity": 2}, "duplicate_similarity"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_config(CollectConfig, write(tmp_path, **changes))
