"""The whole quality benchmark on small made-up tables: real training jobs, baselines, page."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from modelsat.aptitude.keywords import load_keywords
from modelsat.artifacts.router_description import read_description
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import read_cards
from modelsat.command import run_command
from modelsat.errors import QualityError
from modelsat.modeling.tiny import write_tiny_parts
from modelsat.quality.guests import STRONG, WEAK
from tests.benchmarks.quality.benchmark import run_benchmark
from tests.benchmarks.quality.limits import check_benchmark
from tests.benchmarks.quality.page import write_page
from tests.benchmarks.report.page import conclude

TASKS = sorted(load_keywords("mmlu"))
PER_TASK = 45
CROWD_PER_TASK = 8
SKILL = {"weak": 0.35, "middle": 0.5, "strong": 0.7, "early": 0.45, "late": 0.6, "first": 0.55}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    questions = [
        {"question_id": f"{benchmark}/{task}/{i}", "benchmark": benchmark, "task": task}
        | {"prompt": f"Question {i} about {task} of {benchmark}?\nA. yes\nB. no", "answer": "A"}
        for benchmark, tasks, count in (
            ("mmlu", TASKS, PER_TASK),
            ("gsm8k", ["gsm8k"], 120),
            ("math", ["math"], 30),
        )
        for task in tasks
        for i in range(count)
    ]
    taste = {task: rng.normal(0, 0.15, size=8) for task in [*TASKS, "gsm8k", "math"]}
    outcomes = []
    for source, zoo in (
        ("helm-mmlu", SKILL),
        ("routellm", {STRONG: 0.9, WEAK: 0.3}),
        ("fasteval", {"one": 0.5, "two": 0.4}),
    ):
        for place, (name, skill) in enumerate(zoo.items()):
            for row in questions:
                if source == "helm-mmlu" and row["benchmark"] != "mmlu":
                    continue
                place_in_task = int(row["question_id"].rsplit("/")[-1])
                is_test = source == "fasteval" and row["benchmark"] == "mmlu"
                if is_test and place_in_task >= CROWD_PER_TASK:
                    continue
                level = np.clip(skill + taste[row["task"]][place], 0.1, 0.9)
                outcomes.append(
                    {"question_id": row["question_id"], "candidate": name, "source": source}
                    | {"correct": float(rng.random() < level)}
                )
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    zoos = {
        "all": "*",
        "two": ["middle", "early"],
        "close": ["two"],
        "held_out": ["late"],
        "release_order": ["early", "weak", "first", "middle", "late", "strong"],
    }
    (folder / "zoos.yaml").write_text(yaml.safe_dump({"mmlu": zoos, "fasteval": {"all": "*"}}))
    return folder


@pytest.fixture(scope="module")
def preset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("preset")
    texts = [
        f"question {i} about {task.replace('_', ' ')} of mmlu? yes no"
        for i in range(9)
        for task in TASKS
    ]
    base, encoder = write_tiny_parts(folder / "parts", texts, seed=0)
    stage = {"epochs": 1, "max_steps": 2, "learning_rate": 1e-3, "capability_learning_rate": 1e-3}
    job = {
        "model": {"base": str(base), "encoder": str(encoder)},
        "training": {
            "connector_stage": stage,
            "all_stage": stage,
            "frozen_layers": 1,
            "effect_instructions": 200,
        },
        "resources": {"num_workers": 1},
    }
    (folder / "preset.yaml").write_text(yaml.safe_dump(job))
    return folder / "preset.yaml"


def run(data: Path, preset: Path, work: Path, page: Path) -> None:
    """Two steps make no router that meets a limit."""
    results = run_benchmark(data, work, preset, data / "zoos.yaml", print)
    checks = check_benchmark(results)
    write_page(results, checks, page, preset=preset)
    with pytest.raises(QualityError, match="MISSED mmlu: AUC over the best baseline"):
        conclude(checks, page, print)


@pytest.mark.timeout(1800)
def test_the_benchmark_trains_judges_writes_and_is_not_done_twice(data, preset, tmp_path):
    page = tmp_path / "quality.md"
    run(data, preset, tmp_path / "work", page)
    text = page.read_text()
    for heading in (
        "## mmlu: 6 candidates",
        "## Editing one line of a card",
        "## RouteLLM: gsm8k, no GSM8K label",
        "## RouteLLM: gsm8k, five-fold labels",
        "## RouteLLM: mmlu, five-fold",
        "## Out of domain",
        "## Candidates arriving by card only",
    ):
        assert heading in text, heading
    assert re.search(r"trained and judged in 0\.\d hours", text)
    judged = re.search(r"6 candidates, (\d+) questions", text)
    assert judged is not None
    assert int(judged.group(1)) == len(TASKS) * PER_TASK
    for row in ("card text", "knn", "best per task", "matrix factorization"):
        assert f"\n| {row} |" in text, row
    routers = sorted(path.parent.name for path in (tmp_path / "work").glob("*/router"))
    folds = [f"fold-{k}" for k in range(5)]
    assert routers == sorted([*folds, "held-out", "seed-1", "early-releases"])

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.npz")}
    written |= {p: p.stat().st_mtime_ns for p in (tmp_path / "work").rglob("head.safetensors")}
    run(data, preset, tmp_path / "work", page)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert page.read_text() == text


@pytest.mark.timeout(600)
def test_a_router_for_use_learns_from_every_source(data, preset, tmp_path):
    out = tmp_path / "router"
    run_command(
        ["quality", "train", "--data", str(data), "--out", str(out), "--preset", str(preset)], print
    )
    manifest = read_description(out)["manifest"]
    assert [set(names) for names in manifest["candidates"]] == [
        set(SKILL),
        {STRONG, WEAK},
        {"one", "two"},
        {"one", "two"},
    ]
    assert len(read_description(out)["tasks_hashes"]) == 2
    work = tmp_path / "router-work"
    assert set(read_cards(work / "mmlu" / "gsm8k" / "cards.parquet")) == {STRONG, WEAK}
    assert (work / "fasteval" / "math" / "questions-training.parquet").is_file()
