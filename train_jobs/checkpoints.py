"""What a run leaves after every epoch: to go on from the last, or to take the best."""

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train

from modelsat.artifacts.hashing import content_hash
from modelsat.errors import CheckpointError
from modelsat.training.config import StageName
from modelsat.training.stages import STAGES
from train_jobs.deepspeed_engine import DeepSpeedEngine
from train_jobs.storage import PROGRESS_NAME

_SCORE = "score"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a run has come: the last finished epoch and what every epoch did."""

    num_workers: int
    stage: StageName
    epoch: int
    history: tuple[dict[str, Any], ...]


def retention(kept: int) -> ray.train.CheckpointConfig:
    """Keep so many of the best checkpoints by validation loss, and the last one.

    A later stage's are better than an earlier one's, whatever their loss.
    """
    return ray.train.CheckpointConfig(
        num_to_keep=kept, checkpoint_score_attribute=_SCORE, checkpoint_score_order="max"
    )


def report(engine: DeepSpeedEngine, progress: Progress) -> None:
    """Write a checkpoint; every worker calls this after the same epoch.

    What the engine holds is copied to the worker's own disk; from there it goes to the storage
    while the next epoch trains.

    Raises:
        CheckpointError: the worker's own disk takes no checkpoint.
    """
    last = progress.history[-1]
    directory = Path(tempfile.mkdtemp(prefix=_local_prefix()))
    try:
        engine.save(directory)
        if ray.train.get_context().get_world_rank() == 0:
            (directory / PROGRESS_NAME).write_text(json.dumps(vars(progress)))
    except (OSError, RuntimeError) as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise _cannot_write(str(directory), error) from None
    ray.train.report(
        {**last, _SCORE: _score(last)},
        checkpoint=ray.train.Checkpoint.from_directory(directory),
        checkpoint_dir_name=f"checkpoint_{progress.stage}-{progress.epoch:03d}",
        checkpoint_upload_mode=ray.train.CheckpointUploadMode.ASYNC,
        delete_local_checkpoint_after_upload=False,
        checkpoint_upload_fn=_upload,
    )


def _upload(checkpoint: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
    """Copy a checkpoint to the storage, or leave nothing of it; the local one goes.

    Raises:
        CheckpointError: the storage takes no checkpoint. The one before it stays the last.
    """
    storage = ray.train.get_context().get_storage()
    try:
        return storage.persist_current_checkpoint(checkpoint, name)
    except OSError as error:
        path = f"{storage.experiment_fs_path}/{name}"
        with suppress(OSError):
            storage.storage_filesystem.delete_dir(path)
        raise _cannot_write(path, error) from None
    finally:
        shutil.rmtree(checkpoint.path, ignore_errors=True)


def _cannot_write(path: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {path} cannot be written: {str(error).splitlines()[0]}; the one before it is "
        "whole: make room, and run the same command again to continue from it"
    )


def _local_prefix() -> str:
    """How the names of a run's own local copies begin."""
    folder = ray.train.get_context().get_storage().experiment_fs_path
    return f"{ray.train.get_context().get_experiment_name()}-{content_hash(folder)}-"


@contextmanager
def last_checkpoint() -> Iterator[tuple[Progress, Path] | None]:
    """The checkpoint to go on from and the folder it lies in; None for a new run.

    Local copies that killed workers left behind go: every worker calls this before any writes one.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_local_prefix()}*"):
        shutil.rmtree(left, ignore_errors=True)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        yield None
        return
    with checkpoint.as_directory() as name:
        directory = Path(name)
        yield Progress(**json.loads((directory / PROGRESS_NAME).read_text())), directory


@contextmanager
def best_checkpoint(stage: StageName) -> Iterator[Path]:
    """Folder of the best checkpoint of a stage, the present one."""
    reported = ray.train.get_all_reported_checkpoints(ray.train.CheckpointConsistencyMode.COMMITTED)
    of_stage = [one for one in reported if one.metrics["stage"] == stage]
    best = max(of_stage, key=lambda one: float(one.metrics[_SCORE]))
    with best.checkpoint.as_directory() as name:
        yield Path(name)


def best_epoch(history: Sequence[Entry], stage: StageName) -> int:
    """Epoch of a stage with the lowest validation loss, the first of equals."""
    return int(max((one for one in history if one["stage"] == stage), key=_score)["epoch"])


def _score(entry: Entry) -> float:
    """Higher for a later stage and, within it, for a lower validation loss."""
    loss = entry["validation_loss"]
    return STAGES.index(entry["stage"]) + (1 / (1 + loss) if math.isfinite(loss) else 0.0)
