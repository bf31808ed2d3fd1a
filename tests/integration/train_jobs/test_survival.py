"""Whatever breaks a job, the same command ends it with the weights of an unbroken one."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from modelsat.errors import CheckpointError, ConfigError
from tests.support.train_jobs.toy_job import overfitting_job, same_weights
from train_jobs.job import run_name, train_router

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("ray_cluster"),
    # Ray 2.60 sets, copying its own settings, those it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]

DEADLINE_S = 120


def wait_for(is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def training_workers() -> list[psutil.Process]:
    """Processes of Ray Train on this test's own cluster."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it ended since it was listed
            if "ray::RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def best_and_last(history, kept: int) -> set[str]:
    """Names of the checkpoints that should be left of a run that ended in stage ``all``."""
    epochs = [entry for entry in history if entry["stage"] == "all"]
    best = sorted(epochs, key=lambda entry: entry["validation_loss"])[:kept]
    return {f"checkpoint_all-{entry['epoch']:03d}" for entry in (*best, epochs[-1])}


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("checkpoint_*-*")}


def test_a_killed_worker_goes_on_from_a_url_and_the_best_are_kept(stopped, noisy_tables, tmp_path):
    config = overfitting_job(
        noisy_tables,
        tmp_path,
        storage_path=f"fsspec+file://{tmp_path}/remote",
        keep_checkpoints=3,
        resources={"max_failures": 1},
    )
    # The unbroken job looks at validation within epochs too: a look moves no weight.
    training = config.training.model_copy(update={"validate_every_steps": None})
    config = config.model_copy(update={"training": training})
    folder = tmp_path / "remote" / run_name(config)
    killed = []

    def kill_one() -> None:
        wait_for(lambda: (folder / "checkpoint_all-001" / "progress.json").exists())
        victim = training_workers()[-1]
        victim.send_signal(signal.SIGKILL)
        killed.append(victim.pid)

    killer = threading.Thread(target=kill_one)
    killer.start()
    summary = train_router(config)
    killer.join()
    assert killed
    # A worker that goes on opens an event file of its own.
    assert len(list((folder / "tensorboard").iterdir())) == 2
    assert list(summary.history) == list(stopped[1].history)
    assert same_weights(stopped[0], config)
    assert checkpoints(folder) == best_and_last(summary.history, kept=3)


def test_an_unbroken_job_leaves_its_best_and_its_last_checkpoint(stopped):
    config, summary = stopped
    folder = Path(config.storage_path) / run_name(config)
    assert checkpoints(folder) == best_and_last(summary.history, kept=1)


def test_a_full_disk_is_named_and_the_checkpoint_before_it_serves(stopped, noisy_tables, tmp_path):
    config = overfitting_job(noisy_tables, tmp_path, resources={"max_failures": 0})
    folder = Path(config.storage_path) / run_name(config)
    full = folder / "checkpoint_all-002"
    full.mkdir(parents=True)
    (full / "progress.json").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="No space left on device") as caught:
        train_router(config)
    assert str(full) in str(caught.value)
    # What was half written takes no room.
    assert "checkpoint_all-001" in checkpoints(folder)
    assert full.name not in checkpoints(folder)
    assert not config.router_dir.exists()

    for num_workers in (1, 3):
        other = config.model_copy(
            update={"resources": config.resources.model_copy(update={"num_workers": num_workers})}
        )
        with pytest.raises(ConfigError, match="2 workers"):
            train_router(other)
    # How often it may fail is not what is trained.
    patient = config.model_copy(
        update={"resources": config.resources.model_copy(update={"max_failures": 2})}
    )
    train_router(patient)
    assert len(list((folder / "tensorboard").iterdir())) == 2
    assert same_weights(stopped[0], config)
