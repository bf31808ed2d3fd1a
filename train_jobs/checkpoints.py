"""Checkpoints after every epoch: resume from the last, or restore the best."""

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray.train

from modelsat.artifacts.hashing import content_hash
from modelsat.errors import CheckpointError
from modelsat.training.config import STAGES, StageName
from train_jobs.storage import PROGRESS_NAME

if TYPE_CHECKING:
    from train_jobs.deepspeed_engine import DeepSpeedEngine

_SCORE = "score"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class ResumePoint:
    """The progress of a run: its last finished epoch and the results of every epoch."""

    num_workers: int
    stage: StageName
    epoch: int
    history: tuple[dict[str, Any], ...]


def retention(num_to_keep: int) -> ray.train.CheckpointConfig:
    """Keep the best checkpoints by validation loss, and the last one.

    A later stage's checkpoints always rank above an earlier stage's.
    """
    return ray.train.CheckpointConfig(
        num_to_keep=num_to_keep, checkpoint_score_attribute=_SCORE, checkpoint_score_order="max"
    )


def report(engine: "DeepSpeedEngine", progress: ResumePoint) -> None:
    """Write a checkpoint; every worker must call this after the same epoch.

    The engine's state is saved to the worker's local disk and uploaded to the storage while the
    next epoch trains.

    Raises:
        CheckpointError: the worker's local disk cannot be written.
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
    """Upload a checkpoint completely or not at all, and delete the local copy.

    Raises:
        CheckpointError: the storage cannot be written; the previous checkpoint stays the last.
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
        f"checkpoint {path} cannot be written: {str(error).splitlines()[0]}; the previous "
        "checkpoint is intact: free space, and run the same command again to continue from it"
    )


def _local_prefix() -> str:
    """Return the common prefix of this run's local checkpoint copies."""
    folder = ray.train.get_context().get_storage().experiment_fs_path
    return f"{ray.train.get_context().get_experiment_name()}-{content_hash(folder)}-"


@contextmanager
def last_checkpoint() -> Iterator[tuple[ResumePoint, Path] | None]:
    """Yield the checkpoint to resume from and its folder; None for a new run.

    Also deletes local copies left by killed workers: every worker must call this before any
    worker writes a checkpoint.
    """
    for stale in Path(tempfile.gettempdir()).glob(f"{_local_prefix()}*"):
        shutil.rmtree(stale, ignore_errors=True)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        yield None
        return
    with checkpoint.as_directory() as name:
        directory = Path(name)
        yield ResumePoint(**json.loads((directory / PROGRESS_NAME).read_text())), directory


@contextmanager
def best_checkpoint(stage: StageName) -> Iterator[Path]:
    """Yield the folder of the best checkpoint of the current stage."""
    reported = ray.train.get_all_reported_checkpoints(ray.train.CheckpointConsistencyMode.COMMITTED)
    of_stage = [entry for entry in reported if entry.metrics["stage"] == stage]
    best = max(of_stage, key=lambda entry: float(entry.metrics[_SCORE]))
    with best.checkpoint.as_directory() as name:
        yield Path(name)


def best_epoch(history: Sequence[Entry], stage: StageName) -> int:
    """Return the epoch of a stage with the lowest validation loss, the first of equals."""
    return int(max((entry for entry in history if entry["stage"] == stage), key=_score)["epoch"])


def _score(entry: Entry) -> float:
    """Score an epoch: higher for a later stage, then for a lower validation loss."""
    loss = entry["validation_loss"]
    return STAGES.index(entry["stage"]) + (1 / (1 + loss) if math.isfinite(loss) else 0.0)
