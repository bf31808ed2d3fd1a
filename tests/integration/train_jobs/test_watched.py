"""A job that overfits stops early, and reports its progress."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modelsat.modeling.checkpoint import load_router
from modelsat.training.loop import validation_loss
from modelsat.training.outputs import network_scores
from tests.support.train_jobs.event_files import read_scalars
from tests.support.train_jobs.toy_job import PATIENCE
from train_jobs.data import (
    data_hashes,
    measure_training_data,
    read_training_data,
    write_training_data,
)
from train_jobs.job import run_name

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("ray_cluster"),
    # Ray 2.60 sets, copying its own settings, those it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]

STEPS_PER_EPOCH = 12


def test_the_stage_stops_in_time_and_its_best_epoch_wins(stopped):
    config, summary = stopped
    entries = [entry for entry in summary.history if entry["stage"] == "all"]
    losses = [entry["validation_loss"] for entry in entries]
    best = int(np.argmin(losses))
    assert 0 < best == len(losses) - 1 - PATIENCE < config.training.all_stage.epochs - PATIENCE
    assert entries[-1]["training_loss"] < entries[best]["training_loss"]
    router = load_router(config.router_dir)
    folders = write_training_data(config, data_hashes(config.data))
    data = read_training_data(config, folders)
    (planned,) = measure_training_data(config)
    assert planned.num_training == len(data.training[0])
    validation = data.validation
    scores = [
        network_scores(router.model, router.tokenizer, matrix, torch.device("cpu")).log_odds_QM
        for matrix in validation
    ]
    found = validation_loss(scores, validation, config.training.loss)
    assert found == pytest.approx(losses[best], rel=1e-5)


def test_event_files_tell_what_the_history_tells(stopped):
    config, summary = stopped
    folder = Path(config.storage_path) / run_name(config) / "tensorboard"
    scalars = read_scalars(folder)
    for stage, before in (("connector", 0), ("all", STEPS_PER_EPOCH)):
        entries = [entry for entry in summary.history if entry["stage"] == stage]
        last = before + STEPS_PER_EPOCH * (len(entries) - 1)
        losses = scalars[f"{stage}/loss"]
        assert list(losses) == list(range(before + 1, last + 1))
        for name in ("validation_loss", "calibration_error", "routing_accuracy"):
            shown = scalars[f"{stage}/validation/{name}"]
            at_ends = [shown[step] for step in range(before, last + 1, STEPS_PER_EPOCH)]
            assert at_ends == pytest.approx([entry[name] for entry in entries], rel=1e-6)
            assert {5, 10, 12} <= {step - before for step in shown}
        for entry in entries[1:]:
            end = before + STEPS_PER_EPOCH * entry["epoch"]
            steps = [losses[step] for step in range(end - STEPS_PER_EPOCH + 1, end + 1)]
            assert np.mean(steps) == pytest.approx(entry["training_loss"], rel=1e-5)
        for name in ("step_s", "tokens_per_s", "peak_memory_gib"):
            assert min(scalars[f"{stage}/{name}"].values()) > 0
    base, capability = (scalars[f"all/learning_rate/{part}"] for part in ("base", "capability"))
    assert max(base.values()) == pytest.approx(2e-3)
    assert all(capability[step] == pytest.approx(1.5 * rate) for step, rate in base.items())
    assert set(scalars["connector/learning_rate/capability"]) == set(range(1, STEPS_PER_EPOCH + 1))
    assert "connector/learning_rate/base" not in scalars
