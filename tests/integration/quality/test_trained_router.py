"""One router of the quality benchmark, trained by a real training job."""

import pytest

from modelsat.artifacts.router_description import read_description
from modelsat.preparation.tables import read_zoos
from tests.benchmarks.quality.routers import Experiment
from tests.benchmarks.quality.runner import BenchmarkRunner
from tests.benchmarks.quality.training import encoder_source
from tests.support.small_benchmark import PAIR, RECIPE, SKILL, write_preset, write_tables
from train_jobs.job import train_router

pytestmark = pytest.mark.ray


def test_a_router_is_trained_on_its_folds_and_only_once(ray_cluster, tmp_path):
    data, preset = write_tables(tmp_path), write_preset(tmp_path)
    runner = BenchmarkRunner(
        work=tmp_path / "work",
        preset=preset,
        zoos={tables.name: tables for tables in read_zoos(RECIPE, data, print)},
        encoder=encoder_source(preset),
        learners=(),
        train_router=train_router,
        echo=print,
    )
    experiment = Experiment("fold-0", 0, ("mmlu", "routellm"), held_out={"mmlu": ("late",)})
    trained = runner.train(experiment)
    manifest = read_description(trained.router_dir)["manifest"]
    assert [set(names) for names in manifest["candidates"]] == [set(SKILL) - {"late"}, set(PAIR)]

    predictions = runner.predict(trained, "mmlu")
    assert set(predictions.candidates) == set(SKILL)
    assert set(predictions.question_ids) == set(trained.test_matrix("mmlu").question_ids)

    weights = trained.router_dir / "head.safetensors"
    written = weights.stat().st_mtime_ns
    runner.train(experiment)
    assert weights.stat().st_mtime_ns == written
