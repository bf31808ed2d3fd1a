"""A training job: from its configuration to a router directory, on Ray Train."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchConfig, TorchTrainer

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.router_description import DESCRIPTION_NAME, read_description
from modelsat.cli.app_errors import interrupt_on_sigterm
from modelsat.errors import ArtifactError, CheckpointError, ConfigError, ModelSatError
from modelsat.modeling.card_features import statement_text
from modelsat.modeling.tiny import TINY, write_tiny_parts
from modelsat.training.adapters import check_adapters
from train_jobs.checkpoints import retention
from train_jobs.config import ResourcesConfig, TrainJobConfig
from train_jobs.data import (
    DataHashes,
    TrainingData,
    data_hashes,
    read_training_data,
    write_training_data,
)
from train_jobs.sharding import cpu_environment
from train_jobs.storage import workers_of_run
from train_jobs.trackers import check_trackers, tracker_variables
from train_jobs.worker import train_loop_per_worker

# Settings of which the trained weights do not tell, or which are no part of a run's name: a job
# that differs in them alone continues the same run.
_WITHOUT_EFFECT: dict[str, Any] = {
    "name": True,
    "storage_path": True,
    "router_dir": True,
    "trackers": True,
    "keep_checkpoints": True,
    "resources": True,
    "training": {"validate_every_steps"},
}
_TINY_TEXTS = 10_000  # of each data set, from which the vocabulary of `tiny` is made
_LOGICAL_CPUS = 8  # for a cluster of our own: workers wait more than they compute


@dataclass(frozen=True)
class TrainSummary:
    """What a training job did.

    Attributes:
        router_dir: where the router is.
        was_done: whether it was there already, made from the same data and settings.
        history: one entry per epoch, as in the router's manifest.
    """

    router_dir: Path
    was_done: bool
    history: tuple[dict[str, Any], ...]


def train_router(config: TrainJobConfig) -> TrainSummary:
    """Run a training job on the Ray cluster in reach, or on one started for it.

    A router made from the same data and settings is left as it is; an interrupted run continues
    from its last checkpoint.

    Raises:
        ModelSatError: data, model or configuration are refused before any worker starts; so is
            another number of workers than the run began with.
        CheckpointError: the workers failed more often than allowed.
    """
    hashes = data_hashes(config.data)
    work_hash = _work_hash(config, hashes)
    history = _finished_history(config, work_hash)
    if history is not None:
        return TrainSummary(config.router_dir, was_done=True, history=history)
    run = f"{config.name}-{work_hash}"
    _check_workers(config, run)
    check_trackers(config.trackers)
    _check_initial_router(config)
    _check_adapters(config)
    with connected_ray():
        _fit(_trainer(config, run, hashes, work_hash))
    trained = _finished_history(config, work_hash)
    if trained is None:
        raise CheckpointError(f"training ended without writing {config.router_dir}; run it again")
    return TrainSummary(config.router_dir, was_done=False, history=trained)


def _trainer(
    config: TrainJobConfig, run: str, hashes: Sequence[DataHashes], work_hash: str
) -> TorchTrainer:
    """Ray Train's part of a job, once its data lie ready."""
    absolute = _with_absolute_model(config)
    folders = write_training_data(absolute, hashes)
    data = read_training_data(absolute, folders)
    resolved = _with_parts(absolute, data, run)
    manifest = _manifest(config, data, hashes, work_hash)
    return TorchTrainer(
        partial(train_loop_per_worker, tracker_variables(config.trackers)),
        train_loop_config={
            "config": resolved.model_dump(mode="json"),
            "made_of": absolute.model.model_dump(mode="json"),
            "folders": [str(folder) for folder in folders],
            "manifest": manifest,
        },
        torch_config=TorchConfig(backend="nccl" if config.resources.use_gpu else "gloo"),
        scaling_config=scaling_config(config.resources),
        run_config=ray.train.RunConfig(
            name=run,
            storage_path=resolved.storage_path,
            failure_config=ray.train.FailureConfig(max_failures=config.resources.max_failures),
            checkpoint_config=retention(config.keep_checkpoints),
            worker_runtime_env={"env_vars": _worker_environment(config)},
        ),
    )


def scaling_config(resources: ResourcesConfig) -> ray.train.ScalingConfig:
    """What Ray Train asks the cluster for."""
    return ray.train.ScalingConfig(
        num_workers=resources.num_workers,
        use_gpu=resources.use_gpu,
        resources_per_worker={"CPU": resources.cpus_per_worker},
        accelerator_type=resources.accelerator_type,
    )


def run_name(config: TrainJobConfig) -> str:
    """Name of a job's run, and of its folder in the storage: it changes with what is trained.

    Raises:
        ArtifactError: a table of the job cannot be read.
    """
    return f"{config.name}-{_work_hash(config, data_hashes(config.data))}"


def _check_workers(config: TrainJobConfig, run: str) -> None:
    """Refuse to continue a run with another number of workers.

    A step takes ``batch_size`` instructions of each, and DeepSpeed has one part of the state for
    each.
    """
    before, now = workers_of_run(config.storage_path, run), config.resources.num_workers
    if before is not None and before != now:
        raise ConfigError(
            f"run {run} in {config.storage_path} was begun with {before} workers and cannot go on "
            f"with {now}: set resources.num_workers={before}, or give another name to start anew"
        )


def _check_initial_router(config: TrainJobConfig) -> None:
    if config.initial_router is None:
        return
    made_of = read_description(config.initial_router)["model"]
    asked = _with_absolute_model(config).model.model_dump(mode="json")
    other = [name for name in asked if made_of.get(name) != asked[name]]
    if other:
        told = ", ".join(
            f"{name}: {made_of.get(name)!r} in place of {asked[name]!r}" for name in other
        )
        raise ConfigError(
            f"initial_router {config.initial_router} was made of {told}; state the same model, or "
            "train a new router without it"
        )


def _check_adapters(config: TrainJobConfig) -> None:
    if config.training.lora is None:
        return
    earlier = config.initial_router
    base = config.model.base if earlier is None else str(earlier / "base")
    check_adapters(base, config.training.lora)


def _fit(trainer: TorchTrainer) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit()
    except SystemExit:
        # Ray Train puts a SIGINT handler of its own in place, which aborts the run and exits.
        raise KeyboardInterrupt from None
    except ray.train.TrainingFailedError as error:
        for cause in getattr(error, "worker_failures", {}).values():
            if isinstance(cause, ModelSatError):
                raise cause from None
        reason = str(error).strip().splitlines()[-1]
        raise CheckpointError(
            f"training failed: {reason}; mend the cause and run the same command again to "
            "continue from the last checkpoint"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextmanager
def connected_ray() -> Iterator[None]:
    """Ray for the length of a block: that in use, or `RAY_ADDRESS`'s, or one of this machine.

    What is connected here is left at the end: until then lines of the workers come to stdout.
    """
    if ray.is_initialized():
        yield
        return
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        # Ray's 15 lets its own processes go before the workers: 6 % fewer tokens per second.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(num_cpus=_LOGICAL_CPUS, include_dashboard=False)
    interrupt_on_sigterm()  # again: ray.init installs a handler of its own
    try:
        yield
    finally:
        ray.shutdown()


def _worker_environment(config: TrainJobConfig) -> dict[str, str]:
    environment = {"OMP_NUM_THREADS": str(config.resources.threads_per_worker)}
    if not config.resources.use_gpu:
        environment |= cpu_environment()
    return environment


def _work_hash(config: TrainJobConfig, hashes: Sequence[DataHashes]) -> str:
    settings = config.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    if config.initial_router is not None:
        settings["initial_router"] = directory_hash(config.initial_router)
    settings["data"] = [
        {**of_files, "sources": data.sources, "candidates": data.candidates}
        for of_files, data in zip(hashes, config.data, strict=True)
    ]
    return content_hash(settings)


def _with_absolute_model(config: TrainJobConfig) -> TrainJobConfig:
    """The same job with the paths of local models absolute.

    Not when the configuration is read: a run is named by what its configuration says of the model.
    """
    model = {
        part: str(Path(source).resolve())
        for part, source in (("base", config.model.base), ("encoder", config.model.encoder))
        if Path(source).is_dir()
    }
    return config.model_copy(update={"model": config.model.model_copy(update=model)})


def _with_parts(config: TrainJobConfig, data: TrainingData, run: str) -> TrainJobConfig:
    """Replace ``tiny`` by a base and an encoder written for this run."""
    is_tiny = TINY in (config.model.base, config.model.encoder)
    if not is_tiny or config.initial_router is not None:
        return config
    samples = [source.sample(_TINY_TEXTS, config.training.seed) for source in data.training]
    texts = [text for sample in samples for text in sample.instructions]
    texts += [statement_text(s) for sample in samples for s in sample.cards[0].statements]
    directory = config.shared_folder / f"{run}-parts"
    base, encoder = write_tiny_parts(directory, texts, config.training.seed)
    parts = {"base": base, "encoder": encoder}
    tiny = {k: str(path) for k, path in parts.items() if getattr(config.model, k) == TINY}
    return config.model_copy(update={"model": config.model.model_copy(update=tiny)})


def _manifest(
    config: TrainJobConfig, data: TrainingData, hashes: Sequence[DataHashes], work_hash: str
) -> Mapping[str, Any]:
    return {
        "work_hash": work_hash,
        "data": list(hashes),
        "candidates": [[card.candidate for card in source.cards] for source in data.training],
        "num_training_instructions": [len(source) for source in data.training],
        "num_outcomes_without_question": data.num_unknown,
        "num_validation_instructions": [len(matrix) for matrix in data.validation],
        "initial_router": config.initial_router and directory_hash(config.initial_router),
        "training": config.training.model_dump(mode="json"),
        "num_workers": config.resources.num_workers,
    }


def _finished_history(config: TrainJobConfig, work_hash: str) -> tuple[dict[str, Any], ...] | None:
    if not (config.router_dir / DESCRIPTION_NAME).is_file():
        return None
    try:
        manifest = read_description(config.router_dir)["manifest"]
    except ArtifactError:
        return None
    found = (manifest.get("work_hash"), manifest.get("num_workers"))
    is_same = found == (work_hash, config.resources.num_workers)
    return tuple(manifest["history"]) if is_same else None
