"""What a run leaves after every epoch: to go on from the last, or to take the best."""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train

from modelsat.training.config import StageName
from modelsat.training.stages import STAGES
from train_jobs.deepspeed_engine import DeepSpeedEngine

_PROGRESS = "progress.json"
_SCORE = "score"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a run has come: the last finished epoch and what every epoch did."""

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
    """Write a checkpoint; every worker calls this after the same epoch."""
    last = progress.history[-1]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        engine.save(directory)
        if ray.train.get_context().get_world_rank() == 0:
            (directory / _PROGRESS).write_text(json.dumps(vars(progress)))
        ray.train.report(
            {**last, _SCORE: _score(last)},
            checkpoint=ray.train.Checkpoint.from_directory(directory),
        )


@contextmanager
def last_checkpoint() -> Iterator[tuple[Progress, Path] | None]:
    """The checkpoint to go on from and the folder it lies in; None for a new run."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        yield None
        return
    with checkpoint.as_directory() as name:
        directory = Path(name)
        yield Progress(**json.loads((directory / _PROGRESS).read_text())), directory


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
