"""The whole quality benchmark on small made-up tables, with routers that are not trained."""

import re
from pathlib import Path

import pytest

from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.router_description import DESCRIPTION_NAME
from modelsat.errors import QualityError
from modelsat.evaluation.baselines.card_text import CARD_TEXT
from modelsat.evaluation.baselines.neighbours import NEIGHBOURS
from modelsat.modeling.calibration import Calibration
from modelsat.modeling.checkpoint import Router, save_router
from modelsat.modeling.loading import build_model
from tests.benchmarks.quality.benchmark import run_benchmark
from tests.benchmarks.quality.limits import check_benchmark
from tests.benchmarks.quality.page import write_page
from tests.benchmarks.quality.zoos import ZooSetups
from tests.benchmarks.report.page import conclude
from tests.support.small_benchmark import (
    QUESTIONS_PER_TASK,
    RECIPE,
    TASKS,
    write_preset,
    write_tables,
)

SETUPS = {
    "mmlu": ZooSetups.model_validate(
        {
            "all": "*",
            "two": ["middle", "early"],
            "close": ["two"],
            "held_out": ["late"],
            "release_order": ["early", "weak", "first", "middle", "late", "strong"],
        }
    ),
    "fasteval": ZooSetups.model_validate({"all": "*"}),
}


def write_untrained_router(job):
    """A random router where a training job would write its own, as such a job only once."""
    if (job.router_dir / DESCRIPTION_NAME).is_file():
        return
    model, tokenizer = build_model(job.model, job.training.seed)
    tests = {test.tasks_hash: test for test in (load_tasks(data.tasks) for data in job.data)}
    manifest = {"training": job.training.model_dump(mode="json")}
    router = Router(model, tokenizer, job.model, Calibration(), tuple(tests.values()), manifest)
    save_router(router, job.router_dir)


def run(data, preset, work):
    return run_benchmark(
        RECIPE,
        data,
        work,
        preset,
        SETUPS,
        learners=(NEIGHBOURS, CARD_TEXT),
        train_router=write_untrained_router,
        echo=print,
    )


def modified(folder: Path):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz")} | {
        path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return write_tables(folder), write_preset(folder)


@pytest.mark.timeout(300)
def test_the_benchmark_predicts_writes_its_page_and_repeats_nothing(inputs, tmp_path):
    data, preset = inputs
    page, work = tmp_path / "quality.md", tmp_path / "work"
    results = run(data, preset, work)
    checks = check_benchmark(results)
    write_page(results, checks, page, preset=preset)
    with pytest.raises(QualityError, match="MISSED mmlu: AUC over the best baseline"):
        conclude(checks, page, print)

    text = page.read_text()
    for heading in (
        "## mmlu: 6 candidates",
        "## Editing one line of a card",
        "## RouteLLM: gsm8k, no GSM8K label",
        "## RouteLLM: gsm8k, five-fold labels",
        "## RouteLLM: mmlu, five-fold",
        "## Out of domain",
        "## New candidates known by card only",
    ):
        assert heading in text, heading
    judged = re.search(r"6 candidates, (\d+) questions", text)
    assert judged is not None
    assert int(judged.group(1)) == len(TASKS) * QUESTIONS_PER_TASK
    for row in ("card text", "knn", "best per task"):
        assert f"\n| {row} |" in text, row
    routers = sorted(path.parent.name for path in work.glob("*/router"))
    folds = [f"fold-{fold}" for fold in range(5)]
    assert routers == sorted([*folds, "held-out", "seed-1", "early-releases"])

    before = modified(work)
    run(data, preset, work)
    assert modified(work) == before
