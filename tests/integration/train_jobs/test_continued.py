"""A router that goes on from an earlier one with other outcomes."""

import shutil
from pathlib import Path

import pytest
import torch

from modelsat.artifacts.router_description import read_description
from modelsat.errors import ArtifactError, ConfigError
from modelsat.modeling.checkpoint import load_router
from modelsat.training.loop import validation_loss
from modelsat.training.outputs import network_scores
from tests.support.train_jobs.toy_job import job_values, write_toy_tables
from train_jobs.config import TrainJobConfig
from train_jobs.data import data_hashes, read_training_data, write_training_data
from train_jobs.job import run_name, train_router

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("ray_cluster"),
    # Ray 2.60 sets, copying its own settings, those it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]


def continuing_job(folder: Path, earlier: Path) -> TrainJobConfig:
    values = job_values(write_toy_tables(folder / "tables"), folder)
    values["initial_router"] = str(earlier)
    values["resources"] = {"num_workers": 1}
    values["training"]["connector_stage"]["epochs"] = 1
    values["training"]["all_stage"]["epochs"] = 1
    return TrainJobConfig.model_validate(values)


def test_training_starts_from_the_initial_router(stopped, tmp_path):
    earlier = stopped[0].router_dir
    config = continuing_job(tmp_path, earlier)
    summary = train_router(config)
    router = load_router(earlier)
    folders = write_training_data(config, data_hashes(config.data))
    validation = read_training_data(config, folders).validation
    scores = [
        network_scores(router.model, router.tokenizer, matrix, torch.device("cpu")).log_odds_QM
        for matrix in validation
    ]
    known = validation_loss(scores, validation, config.training.loss)
    losses = [entry["validation_loss"] for entry in summary.history]
    assert losses[0] == pytest.approx(known, rel=1e-5)
    assert losses[-1] < losses[0]
    description = read_description(config.router_dir)
    assert description["model"] == read_description(earlier)["model"]
    assert description["manifest"]["initial_router"]


def test_another_initial_router_makes_another_run(stopped, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(stopped[0].router_dir, copied)
    config = continuing_job(tmp_path, stopped[0].router_dir)
    of_copy = config.model_copy(update={"initial_router": copied})
    assert run_name(of_copy) == run_name(config)
    with (copied / "head.safetensors").open("ab") as weights:
        weights.write(b" ")
    assert run_name(of_copy) != run_name(config)


def test_rejects_another_model_or_a_missing_router(stopped, tmp_path):
    config = continuing_job(tmp_path, stopped[0].router_dir)
    other = config.model.model_copy(update={"max_instruction_tokens": 64})
    with pytest.raises(ConfigError, match="max_instruction_tokens: 256 in place of 64"):
        train_router(config.model_copy(update={"model": other}))
    with pytest.raises(ArtifactError, match="nowhere does not exist"):
        train_router(config.model_copy(update={"initial_router": tmp_path / "nowhere"}))
    assert {path.name for path in tmp_path.iterdir()} == {"tables"}
