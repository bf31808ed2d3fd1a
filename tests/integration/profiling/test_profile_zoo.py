"""A zoo sits the aptitude test on real Ray Data and real vLLM engines."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import yaml

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import read_cards
from modelsat.errors import GradingError
from profiling.aptitude_test import profile_zoo, run_from_file
from profiling.config import ProfileConfig
from profiling.runner import remove_groups
from tests.support.profiling.tiny_model import (
    CONTEXT_WINDOW,
    WORDS,
    greedy_answers,
    save_tiny_model,
    zoo_entry,
)

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[3]
REASONING_PLUGIN = ROOT / "tests/support/profiling/word_reasoning.py"
END_OF_REASONING = "w53"  # the plugin's; the tiny model says it in 26 of 62 answers
MAX_NEW_TOKENS = 6
NUM_QUESTIONS = 64
NUM_APTITUDE = 40  # the first questions; the others come in a second table
NUM_TOO_LONG = 2  # the last questions do not fit the context window
QUESTION_COUNTS = {
    "num_questions": NUM_QUESTIONS,
    "num_correct": 25,  # gold answers are what the model says
    "num_incorrect": 1,  # the model ends one answer; it is other words than the gold answer
    "num_unparsable": 0,
    "num_truncated": 36,  # other words, and words that name no letter, up to the last token
    "num_failed": NUM_TOO_LONG,
}


def _kind(i: int) -> str:
    """Kind of question i, mixed so that every batch holds all of them."""
    if i < NUM_APTITUDE:
        return ("right", "choice", "wrong")[i % 3]
    return ("right", "wrong")[i % 2] if i < NUM_QUESTIONS - NUM_TOO_LONG else "wrong"


@dataclass(frozen=True)
class Bench:
    """Files of one profiling run."""

    folder: Path
    prompts: list[str]
    answers: list[str]

    @property
    def config_file(self) -> Path:
        return self.folder / "profile.yaml"

    @property
    def outcomes_folder(self) -> Path:
        return self.folder / "out" / "outcomes"

    def config(self, **changes: Any) -> ProfileConfig:
        values = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        return ProfileConfig.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    for seed, name in enumerate(("alpha", "beta")):
        save_tiny_model(folder / name, seed)
    (folder / "hollow").mkdir()
    entries = [
        zoo_entry("alpha", folder / "alpha"),
        zoo_entry("hollow", folder / "hollow"),
        zoo_entry("misspelt", folder / "beta", max_model_length=64),
        zoo_entry(
            "beta",
            folder / "beta",
            reasoning_parser="words",
            reasoning_parser_plugin=str(REASONING_PLUGIN),
        ),
    ]
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": entries}))
    prompts = _prompts()
    answers = greedy_answers(folder / "alpha", prompts[:-NUM_TOO_LONG], MAX_NEW_TOKENS)
    _write_questions(folder, prompts, answers)
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "questions": [str(folder / "aptitude.parquet"), str(folder / "train.parquet")],
        "tasks": str(folder / "tasks.json"),
        "output_dir": str(folder / "out"),
        "replicas": 2,
        "max_parallel_candidates": 2,
        "batch_size": 4,
        "max_new_tokens": MAX_NEW_TOKENS,
        "max_truncated_fraction": 1.0,
        "candidate_deadline_s": 300,
        "max_failed_fraction": 0.05,
    }
    bench = Bench(folder, prompts, answers)
    bench.config_file.write_text(yaml.safe_dump(config))
    return bench


def _prompts() -> list[str]:
    prompts = [
        " ".join(WORDS[(7 * i + 3 * j) % len(WORDS)] for j in range(2 + i % 5))
        for i in range(NUM_QUESTIONS)
    ]
    for i in range(NUM_QUESTIONS - NUM_TOO_LONG, NUM_QUESTIONS):
        prompts[i] = " ".join([WORDS[i % len(WORDS)]] * (CONTEXT_WINDOW + 1))
    return prompts


def _write_questions(folder: Path, prompts: list[str], answers: list[str]) -> None:
    rows = []
    for i, prompt in enumerate(prompts):
        kind = _kind(i)
        is_choice = kind == "choice"
        right = answers[i] if kind == "right" else "nothing like it"
        rows.append(
            {
                "question_id": f"q{i:02d}",
                "benchmark": "words",
                "task": f"task{i % 2}",
                "prompt": prompt,
                "answer": "A" if is_choice else right,
                "n_choices": 4 if is_choice else None,
            }
        )
    write_table(QUESTIONS, rows[:NUM_APTITUDE], folder / "aptitude.parquet")
    # A table made elsewhere: no column n_choices, another string type, a column of its own.
    short = [{k: v for k, v in row.items() if k != "n_choices"} for row in rows[NUM_APTITUDE:]]
    table = pa.Table.from_pylist(short).append_column("note", pa.array(["mine"] * len(short)))
    large = table["question_id"].cast(pa.large_string())
    pq.write_table(table.set_column(0, "question_id", large), folder / "train.parquet")
    core = tuple(
        CoreTask(
            task=f"task{t}",
            keywords=("a", "b", "c", "d", "e"),
            question_ids=tuple(f"q{i:02d}" for i in range(t, NUM_APTITUDE, 2)),
        )
        for t in range(2)
    )
    TaskSet(benchmark="words", tasks=core).save(folder / "tasks.json")


@pytest.fixture
def start(bench: Bench) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the entry in a process group of its own, which does not outlive the test."""
    entry = [sys.executable, "-m", "profiling.aptitude_test", "--config", str(bench.config_file)]
    kept = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    started = []

    def _start(*options: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*entry, *options],
            cwd=ROOT,
            env={**kept, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="module")
def report(bench: Bench, ray_cluster: None) -> dict[str, Any]:
    """Two replicas of alpha, while hollow and misspelt fail beside it."""
    return profile_zoo(bench.config(candidates=["alpha", "hollow", "misspelt"]))


def test_two_replicas_share_the_questions(report: dict[str, Any]) -> None:
    [alpha] = report["candidates"]
    assert alpha["num_engines"] == 2


def test_failed_and_truncated_rows_are_counted_apart(report: dict[str, Any]) -> None:
    [alpha] = report["candidates"]
    assert {key: alpha[key] for key in QUESTION_COUNTS} == QUESTION_COUNTS


def test_outcomes_say_what_happened_to_each_question(report: dict[str, Any], bench: Bench) -> None:
    rows = read_table(OUTCOMES, bench.folder / "out" / "outcomes.parquet").to_pylist()
    assert [row["question_id"] for row in rows] == [f"q{i:02d}" for i in range(NUM_QUESTIONS)]
    right, choice, wrong, too_long = rows[0], rows[1], rows[2], rows[-1]
    assert (right["correct"], right["failure"]) == (1.0, None)
    assert (choice["correct"], choice["failure"]) == (0.0, "truncated")
    assert (wrong["correct"], wrong["failure"]) == (0.0, "truncated")
    assert (too_long["correct"], too_long["output"]) == (None, None)
    assert too_long["failure"].startswith("failed: ")
    assert "context length" in too_long["failure"]
    assert right["prompt_tokens"] == len(bench.prompts[0].split()) + 3


def test_answers_equal_plain_greedy_generation(report: dict[str, Any], bench: Bench) -> None:
    rows = read_table(OUTCOMES, bench.outcomes_folder / "alpha.parquet").to_pylist()
    answered = [row["output"].split() for row in rows[:-NUM_TOO_LONG]]
    assert answered == [answer.split() for answer in bench.answers]


def test_card_follows_from_the_answers(report: dict[str, Any], bench: Bench) -> None:
    cards = read_cards(bench.folder / "out" / "cards.parquet")
    assert list(cards) == ["alpha"]
    first = cards["alpha"].statements[0]
    assert (first.num_correct, first.num_shots, first.num_truncated) == (7.0, 20, 13)


def test_a_candidate_that_does_not_load_fails_alone(report: dict[str, Any]) -> None:
    reasons = {failure["candidate"]: failure["reason"] for failure in report["failures"]}
    assert sorted(reasons) == ["hollow", "misspelt"]
    assert "is not a model directory" in reasons["hollow"]
    assert "max_model_length" in reasons["misspelt"]
    assert all("\n" not in reason and len(reason) < 500 for reason in reasons.values())


def test_second_run_redoes_nothing(
    report: dict[str, Any], bench: Bench, start: Callable[..., subprocess.Popen[str]]
) -> None:
    files = sorted((bench.folder / "out").rglob("*.parquet"))
    before = [(file, file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    # An address where no cluster is: a run that wanted an engine would fail.
    ended = start("--set", "candidates=[alpha]", "--json", RAY_ADDRESS="127.0.0.1:1")
    stdout, stderr = ended.communicate(timeout=60)
    assert ended.returncode == 0, stderr
    assert "alpha: unchanged since it was profiled" in stderr
    [alpha] = json.loads(stdout)["candidates"]
    assert alpha["status"] == "reused"
    assert {key: alpha[key] for key in QUESTION_COUNTS} == QUESTION_COUNTS
    assert [(file, file.stat().st_ino, file.stat().st_mtime_ns) for file in files] == before


def test_interrupted_run_leaves_nothing_half_written_and_continues(
    report: dict[str, Any], bench: Bench, start: Callable[..., subprocess.Popen[str]]
) -> None:
    before = (bench.outcomes_folder / "alpha.parquet").stat().st_mtime_ns
    changes = ("candidates=[alpha, beta]", "replicas=1")
    # Few questions at once: after the first line most of them are still to come.
    slow = (*changes, "batch_size=2", "block_size=2")
    run = start(*(word for change in slow for word in ("--set", change)))
    lines = []
    assert run.stderr is not None
    for line in run.stderr:
        lines.append(line)
        if line.startswith("profile: beta:") and "questions answered" in line:
            break
    os.killpg(run.pid, signal.SIGINT)  # as a terminal sends Ctrl-C: to the whole group
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130, "".join(lines) + stderr
    assert stderr.splitlines()[-1] == "interrupted; run the same command again to continue"
    assert [file.name for file in bench.outcomes_folder.iterdir()] == ["alpha.parquet"]

    run_from_file(str(bench.config_file), changes, as_json=False)
    outcomes = read_table(OUTCOMES, bench.folder / "out" / "outcomes.parquet")
    assert outcomes["candidate"].value_counts().to_pylist() == [
        {"values": "alpha", "counts": NUM_QUESTIONS},
        {"values": "beta", "counts": NUM_QUESTIONS},
    ]
    assert (bench.outcomes_folder / "alpha.parquet").stat().st_mtime_ns == before

    # beta's answers are what follows its reasoning.
    expected = [
        answer.partition(END_OF_REASONING)[2].split()
        for answer in greedy_answers(
            bench.folder / "beta", bench.prompts[:-NUM_TOO_LONG], MAX_NEW_TOKENS
        )
    ]
    rows = outcomes.to_pylist()[NUM_QUESTIONS:-NUM_TOO_LONG]
    assert [row["output"].split() for row in rows] == expected
    assert {row["failure"] for row, words in zip(rows, expected, strict=True) if not words} == {
        "truncated"
    }


def test_a_candidate_that_finds_no_room_ends_at_its_deadline(
    bench: Bench, ray_cluster: None, tmp_path: Path
) -> None:
    zoo = yaml.safe_load((bench.folder / "zoo.yaml").read_text(encoding="utf-8"))
    zoo["candidates"][0]["llm_config"]["placement_group_config"]["bundles"] = [{"CPU": 1000}]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    changes = [
        f"zoo={tmp_path / 'zoo.yaml'}",
        f"output_dir={tmp_path / 'out'}",
        "candidates=[alpha]",
        "candidate_deadline_s=3",
    ]
    with pytest.raises(GradingError, match=r"'alpha': 0 questions answered when its deadline of"):
        run_from_file(str(bench.config_file), changes, as_json=False)
    assert list((tmp_path / "out").rglob("*.parquet")) == []


def test_no_candidate_keeps_machines_reserved_after_its_end(
    bench: Bench, ray_cluster: None, tmp_path: Path
) -> None:
    """An engine of two workers has a placement group, which its deadline finds waiting."""
    zoo = yaml.safe_load((bench.folder / "zoo.yaml").read_text(encoding="utf-8"))
    options = zoo["candidates"][0]["llm_config"]
    options["engine_kwargs"]["tensor_parallel_size"] = 2
    options["placement_group_config"]["bundles"] = [{"CPU": 900}, {"CPU": 900}]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    config = bench.config(
        zoo=str(tmp_path / "zoo.yaml"),
        output_dir=str(tmp_path / "out"),
        candidates=["alpha"],
        replicas=1,
        candidate_deadline_s=40,  # the group is there after 10 to 15 s
    )
    [failure] = profile_zoo(config)["failures"]
    assert "found no room" in failure["reason"]
    assert _states(900) == ["REMOVED"]

    @ray.remote(num_cpus=0)
    def reserve(name: str) -> None:
        ray.get(ray.util.placement_group([{"CPU": 0.7}], name=name).ready())

    ray.get([reserve.remote("mine-1/a"), reserve.remote("mine-1/b"), reserve.remote("mine-10/a")])
    assert _states(0.7) == ["CREATED"] * 3  # the end of a task leaves them
    remove_groups("mine-1/")
    assert _states(0.7) == ["CREATED", "REMOVED", "REMOVED"]
    remove_groups("mine-10/")


def _states(num_cpus: float) -> list[str]:
    """States of the placement groups whose bundles have so many CPUs."""
    table = ray.util.placement_group_table().values()
    return sorted(g["state"] for g in table if g["bundles"][0].get("CPU") == num_cpus)
