"""Training on real Ray Train and DeepSpeed with two workers."""

import os
from pathlib import Path
from typing import Any

import pytest

from modelsat.aptitude.tasks import load_tasks
from modelsat.errors import ZooError
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import TASKS, WORDS, make_matrix
from tests.support.train_jobs.toy_job import job_values, write_toy_tables
from train_jobs.config import TrainJobConfig
from train_jobs.job import train_router

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("ray_cluster"),
    # Ray 2.60 sets, copying its own settings, those it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """Questions, outcomes, cards and tasks of the toy matrix."""
    return write_toy_tables(tmp_path_factory.mktemp("tables"))


def job(tables: Path, out: Path, **changes: Any) -> TrainJobConfig:
    """A job on the toy tables."""
    return TrainJobConfig.model_validate({**job_values(tables, out), **changes})


@pytest.mark.parametrize(("zero_stage", "precision"), [(2, "autocast"), (3, "float32")])
def test_a_job_trains_both_stages_and_writes_a_router(
    tables, tmp_path, zero_stage, precision, monkeypatch
):
    # Relative paths, as a user writes them; the workers run in another folder.
    monkeypatch.chdir(tmp_path)
    config = job(
        Path(os.path.relpath(tables, tmp_path)),
        Path(),
        deepspeed={"zero_stage": zero_stage, "precision": precision},
    )
    summary = train_router(config)
    assert not summary.was_done
    for stage in ("connector", "all"):
        losses = [e["validation_loss"] for e in summary.history if e["stage"] == stage]
        assert losses[-1] < losses[0]
    scorer = Scorer.load(config.router_dir, dtype="float32")
    cards = make_matrix().cards
    for topic, expected in (("rivers", "earth"), ("verbs", "school")):
        scores = scorer.score([WORDS[topic].format("unseen")], cards)[0]
        assert cards[int(scores.argmax())].candidate == expected
    files = [path for path in config.router_dir.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    (aptitude_test,) = (config.router_dir / "tasks").iterdir()
    assert load_tasks(aptitude_test) == TASKS
    written = {path: path.stat().st_mtime_ns for path in files}
    assert train_router(config).was_done
    assert {path: path.stat().st_mtime_ns for path in files} == written


def test_a_refused_job_starts_no_worker_and_writes_nothing(tables, tmp_path):
    config = job(tables, tmp_path)
    data = config.data[0].model_copy(update={"candidates": ("nobody",)})
    with pytest.raises(ZooError, match="no card for nobody"):
        train_router(config.model_copy(update={"data": (data,)}))
    assert not list(tmp_path.iterdir())
