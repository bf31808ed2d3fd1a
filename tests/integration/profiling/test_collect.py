"""Own prompts are asked of every candidate, within a budget, and graded by their agreement."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelsat.artifacts.schemas import CANDIDATES, OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_json, read_table
from modelsat.capability.cards import read_cards
from modelsat.errors import GradingError
from modelsat.preparation.prepare import prepare
from modelsat.preparation.recipe import Recipe
from profiling.collect import run_from_file
from tests.support.upstream import Upstream, running_upstream

pytestmark = pytest.mark.ray

NUM_PROMPTS = 30
PLACES = ("Paris", "Rome", "Oslo", "Cairo", "Lima")
THEMES = ("weather", "food", "trains", "music", "art", "law")
TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
# Three answers of full length are counted as about 460 tokens a prompt, and take about 60.
MAX_TOKENS = 6500


@contextmanager
def zoo(folder: Path) -> Iterator[dict[str, Upstream]]:
    """Two candidates that say the same, and one that says something else."""
    with (
        running_upstream("same") as a,
        running_upstream("same") as b,
        running_upstream("other") as c,
    ):
        upstreams = {"a": a, "b": b, "c": c}
        candidates = [
            {
                "name": name,
                "engine": "openai",
                "base_url": upstream.url,
                "model": "fake-model",
                "context_window": 4096,
                "tools": name == "a",
                "price": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 10},
            }
            for name, upstream in upstreams.items()
        ]
        (folder / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": candidates}))
        yield upstreams


def configure(folder: Path) -> Path:
    prompts = [f"My private note {i} on {THEMES[i % 6]} in {PLACES[i % 5]}" for i in range(29)]
    bodies: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": prompt}]} for prompt in prompts
    ]
    sums = {"messages": [{"role": "user", "content": "Add two numbers"}], "tools": [TOOL]}
    (folder / "requests.jsonl").write_text("\n".join(map(json.dumps, [*bodies, sums])))
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "prompts": [str(folder / "requests.jsonl")],
        "output_dir": str(folder / "collected"),
        "duplicate_similarity": 1.0,
        "num_topics": 4,
        "max_new_tokens": 20,
        "max_parallel_candidates": 3,
        "remote": {name: {"max_retries": 0} for name in "abc"},
        "budget": {"max_tokens": MAX_TOKENS},
    }
    (folder / "collect.yaml").write_text(yaml.safe_dump(config))
    return folder / "collect.yaml"


def asked(upstreams: dict[str, Upstream]) -> list[int]:
    return [upstream.num_requests.total() for upstream in upstreams.values()]


def test_prompts_are_collected_within_the_budget_and_resumed(
    tmp_path: Path, ray_cluster: None, capfd: pytest.CaptureFixture[str]
) -> None:
    path, out = configure(tmp_path), tmp_path / "collected"
    with zoo(tmp_path) as upstreams:
        upstreams["c"].behave(status=500)
        with pytest.raises(GradingError, match="candidate 'c'"):
            run_from_file(str(path), [], as_json=False)
        upstreams["c"].behave()
        before = asked(upstreams)
        run_from_file(str(path), [], as_json=False)
        assert asked(upstreams)[:2] == [NUM_PROMPTS, NUM_PROMPTS - 1]
        assert before[0] < NUM_PROMPTS
        complete = asked(upstreams)
        run_from_file(str(path), [], as_json=True)
        assert asked(upstreams) == complete
    said = capfd.readouterr()
    assert "private note" not in said.out + said.err

    report = read_json(out / "report.json")
    assert json.loads(said.out[said.out.index("{\n") :]) == report  # after lines of Ray
    assert (report["num_asked"], report["failures"]) == (NUM_PROMPTS, [])
    assert report["used"]["tokens"] <= MAX_TOKENS
    assert len(list((out / "rounds").iterdir())) > 1
    _check_tables(out)
    _check_training_data(out, tmp_path)
    # Folders of a cluster's workers have the permissions of that cluster, inside a private one.
    private = [out, *(file for file in out.rglob("*") if file.is_file())]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private} == {0}


def _check_tables(out: Path) -> None:
    questions = read_table(QUESTIONS, out / "questions.parquet").to_pylist()
    outcomes = read_table(OUTCOMES, out / "outcomes.parquet").to_pylist()
    assert len(questions) == len({row["question_id"] for row in questions}) == NUM_PROMPTS
    [with_tools] = [row["question_id"] for row in questions if row["request"]]
    readers = [row["candidate"] for row in outcomes if row["question_id"] == with_tools]
    assert readers == ["a"]  # the others are not asked
    graded = {
        (row["candidate"], round(row["correct"], 2))
        for row in outcomes
        if row["question_id"] != with_tools
    }
    assert graded == {("a", 0.6), ("b", 0.6), ("c", 0.4)}
    prices = read_table(CANDIDATES, out / "candidates.parquet").to_pylist()
    assert [row["price_out_usd_per_mtok"] for row in prices] == [10, 10, 10]


def _check_training_data(out: Path, folder: Path) -> None:
    """A recipe makes an aptitude test, cards and job data of what was collected."""
    topics = sorted(set(read_table(QUESTIONS, out / "questions.parquet")["task"].to_pylist()))
    test = {
        "kind": "selected",
        "benchmark": "traffic",
        "num_tasks": 2,
        "shots": 2,
        "keywords": {topic: ["notes", "cities", "trains", "music", "law"] for topic in topics},
    }
    zoo = {"name": "own", "sources": ["profiling"], "training_benchmarks": ["traffic"]}
    recipe = {"test_fraction": 0.2, "zoos": [{**zoo, "aptitude_test": test}]}
    [prepared] = prepare(Recipe.model_validate(recipe), out, folder / "data", print)
    cards = read_cards(prepared.cards)
    assert sorted(cards) == ["a", "b", "c"]
    assert cards["a"].accuracy_fraction == pytest.approx(0.6, abs=0.01)
    assert cards["c"].accuracy_fraction == pytest.approx(0.4, abs=0.01)
