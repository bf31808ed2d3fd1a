"""A training job: from its configuration to a router directory, on Ray Train."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.train

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.router_description import DESCRIPTION_NAME, read_description
from modelsat.cli.app_errors import interrupt_on_sigterm
from modelsat.errors import ArtifactError, CheckpointError, ConfigError, ModelSatError
from modelsat.modeling.card_features import card_features
from modelsat.modeling.config import TINY
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
from train_jobs.step_bar import step_bar
from train_jobs.storage import absolute_storage, delete_incomplete, workers_of_run
from train_jobs.trackers import check_trackers, tracker_variables

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer

# Settings that are not part of a run's name, most of them without effect on the weights: a job
# that differs only in these continues the same run.
_WITHOUT_EFFECT: dict[str, Any] = {
    "name": True,
    "storage_path": True,
    "router_dir": True,
    "trackers": True,
    "keep_checkpoints": True,
    "resources": True,
    "training": {"validate_every_steps"},
}
_TINY_TEXTS = 10_000  # texts of each dataset for the vocabulary of `tiny`
_LOGICAL_CPUS = 8  # of a cluster started here: workers wait more than they compute


@dataclass(frozen=True)
class TrainSummary:
    """Result of a training job.

    Attributes:
        router_dir: the router directory.
        was_done: whether a router of the same data and settings already existed.
        history: an entry per epoch, as in the router's manifest.
    """

    router_dir: Path
    was_done: bool
    history: tuple[dict[str, Any], ...]


def train_router(config: TrainJobConfig) -> TrainSummary:
    """Run a training job on the connected Ray cluster, or on a local one started for it.

    An existing router of the same data and settings is kept; an interrupted run continues from its
    last checkpoint.

    Raises:
        ModelSatError: data, model or configuration are invalid, or the number of workers differs
            from the interrupted run's; raised before any worker starts.
        CheckpointError: the workers failed more often than ``max_failures``.
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
        data, trainer = _trainer(config, run, hashes, work_hash)
        with step_bar(run, config.num_steps([len(source) for source in data.training])):
            try:
                _fit(trainer)
            except CheckpointError:
                delete_incomplete(absolute_storage(config.storage_path), run)
                raise
    trained = _finished_history(config, work_hash)
    if trained is None:
        raise CheckpointError(f"training ended without writing {config.router_dir}; retry")
    return TrainSummary(config.router_dir, was_done=False, history=trained)


def _trainer(
    config: TrainJobConfig, run: str, hashes: Sequence[DataHashes], work_hash: str
) -> tuple[TrainingData, "TorchTrainer"]:
    """Write the training data and build the Ray Train trainer of a job."""
    from ray.train.torch import TorchConfig, TorchTrainer

    absolute = _with_absolute_model(config)
    folders = write_training_data(absolute, hashes)
    data = read_training_data(absolute, folders)
    resolved = _with_parts(absolute, data, run)
    manifest = _manifest(config, data, hashes, work_hash)
    trainer = TorchTrainer(
        partial(_train_on_worker, tracker_variables(config.trackers)),
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
    return data, trainer


def _train_on_worker(variables: Mapping[str, str], settings: dict[str, Any]) -> None:
    """Run the worker's loop. Only workers import DeepSpeed and the model, which takes seconds."""
    from train_jobs.worker import train_loop_per_worker

    train_loop_per_worker(variables, settings)


def scaling_config(resources: ResourcesConfig) -> ray.train.ScalingConfig:
    """Return the resources that Ray Train requests from the cluster."""
    return ray.train.ScalingConfig(
        num_workers=resources.num_workers,
        use_gpu=resources.use_gpu,
        resources_per_worker={"CPU": resources.cpus_per_worker},
        accelerator_type=resources.accelerator_type,
    )


def run_name(config: TrainJobConfig) -> str:
    """Return the name of a job's run and storage folder, which depends on data and settings.

    Raises:
        ArtifactError: a table of the job cannot be read.
    """
    return f"{config.name}-{_work_hash(config, data_hashes(config.data))}"


def _check_workers(config: TrainJobConfig, run: str) -> None:
    """Reject continuing a run with another number of workers.

    A step uses ``batch_size`` instructions of each worker, and DeepSpeed's checkpoint has a shard
    for each.
    """
    before, now = workers_of_run(config.storage_path, run), config.resources.num_workers
    if before is not None and before != now:
        raise ConfigError(
            f"run {run} in {config.storage_path} was started with {before} workers and cannot "
            f"continue with {now}: set resources.num_workers={before}, or set another name to "
            "start over"
        )


def _check_initial_router(config: TrainJobConfig) -> None:
    if config.initial_router is None:
        return
    initial = read_description(config.initial_router)["model"]
    configured = _with_absolute_model(config).model.model_dump(mode="json")
    differences = ", ".join(
        f"{name}: {initial.get(name)!r} in place of {value!r}"
        for name, value in configured.items()
        if initial.get(name) != value
    )
    if differences:
        raise ConfigError(
            f"initial_router {config.initial_router} has another model ({differences}); configure "
            "the same model, or train a new router without it"
        )


def _check_adapters(config: TrainJobConfig) -> None:
    if config.training.lora is None:
        return
    from train_jobs.shapes import check_adapters

    initial = config.initial_router
    base = config.model.base if initial is None else str(initial / "base")
    check_adapters(base, config.training.lora)


def _fit(trainer: "TorchTrainer") -> None:
    previous_handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit()
    except SystemExit:
        # Ray Train installs its own SIGINT handler, which aborts the run and exits.
        raise KeyboardInterrupt from None
    except ray.train.TrainingFailedError as error:
        for cause in getattr(error, "worker_failures", {}).values():
            if isinstance(cause, ModelSatError):
                raise cause from None
        reason = str(error).strip().splitlines()[-1]
        raise CheckpointError(
            f"training failed: {reason}; fix the cause and run the same command again to "
            "continue from the last checkpoint"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, previous_handler)


@contextmanager
def connected_ray() -> Iterator[None]:
    """Connect to Ray: the current connection, or the cluster at `RAY_ADDRESS`, or a local one.

    Disconnects at the end of the block if it connected here; until then worker logs are printed
    to stdout.
    """
    if ray.is_initialized():
        yield
        return
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        # With Ray's default of 15 its own processes preempt the workers: 6 % fewer tokens/s.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(num_cpus=_LOGICAL_CPUS, include_dashboard=False)
    interrupt_on_sigterm()  # again, since ray.init installs its own handler
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
        {**file_hashes, "sources": data.sources, "candidates": data.candidates}
        for file_hashes, data in zip(hashes, config.data, strict=True)
    ]
    return content_hash(settings)


def _with_absolute_model(config: TrainJobConfig) -> TrainJobConfig:
    """Return the job with absolute paths of local models.

    This is not done when the configuration is read, since a run's name depends on the paths as
    configured.
    """
    model = {
        part: str(Path(source).resolve())
        for part, source in (("base", config.model.base), ("encoder", config.model.encoder))
        if Path(source).is_dir()
    }
    return config.model_copy(update={"model": config.model.model_copy(update=model)})


def _with_parts(config: TrainJobConfig, data: TrainingData, run: str) -> TrainJobConfig:
    """Replace ``tiny`` by a base and an encoder that are written for this run."""
    is_tiny = TINY in (config.model.base, config.model.encoder)
    if not is_tiny or config.initial_router is not None:
        return config
    from modelsat.modeling.tiny import write_tiny_parts

    samples = [source.sample(_TINY_TEXTS, config.training.seed) for source in data.training]
    texts = [text for sample in samples for text in sample.instructions]
    texts += [text for sample in samples for text in card_features(sample.cards).texts]
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
