"""Training jobs of the quality benchmark: a preset with other data, paths and seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelsat.config import parse_config, read_yaml_mapping
from modelsat.errors import ConfigError
from train_jobs.config import TrainJobConfig


def training_job(
    preset: Path, data: Sequence[Mapping[str, Any]], router_dir: Path, work: Path, *, seed: int
) -> TrainJobConfig:
    """Return the training job of a preset on prepared data.

    Args:
        preset: training job (YAML).
        data: data sets to train on, instead of the preset's.
        router_dir: router directory that the job writes.
        work: folder of checkpoints.
        seed: seed of the training.

    Raises:
        ConfigError: the preset cannot be read, or model or training are missing or refused.
    """
    job = read_yaml_mapping(preset)
    missing = [key for key in ("model", "training") if not isinstance(job.get(key), dict)]
    if missing:
        raise ConfigError(
            f"{preset} lacks {' and '.join(missing)}; give a training job such as "
            "train_jobs/configs/lite.yaml"
        )
    job |= {
        "name": router_dir.name,
        "storage_path": str(work / "training"),
        "router_dir": str(router_dir),
        "data": [dict(data_set) for data_set in data],
        "training": job["training"] | {"seed": seed},
    }
    return parse_config(TrainJobConfig, job, source=str(preset))


def encoder_source(preset: Path) -> str:
    """Return the capability encoder of a preset: a directory or a hub id.

    Raises:
        ConfigError: the preset cannot be read or names no encoder.
    """
    model = read_yaml_mapping(preset).get("model")
    if not isinstance(model, dict) or not isinstance(model.get("encoder"), str):
        raise ConfigError(f"{preset} names no encoder under model; give one")
    return str(model["encoder"])
