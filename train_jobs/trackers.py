"""MLflow and Weights & Biases trackers, configured by their own environment variables."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelsat.errors import ConfigError, MachineError
from modelsat.training.config import STAGES
from train_jobs.config import TrackerName, TrainJobConfig
from train_jobs.tracker_feed import Row, Tracker

_PACKAGES: dict[TrackerName, str] = {"mlflow": "mlflow-skinny", "wandb": "wandb"}
_VARIABLES: dict[TrackerName, tuple[str, ...]] = {
    "mlflow": ("MLFLOW_", "DATABRICKS_"),
    "wandb": ("WANDB_",),
}
_PROCESS_LOCAL = "WANDB_SERVICE"  # address of the driver's own wandb service, if it has one
# By default MLflow's client retries for minutes; the feed retries by itself and logs failures.
_MLFLOW_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
_MLFLOW_PARAMETERS_PER_MESSAGE = 100
_WANDB_FINISH_S = 20.0  # below the time that the end of training waits
# Not logged: paths and URLs do not describe the training, and the inquiry is a prompt.
_NOT_LOGGED: dict[str, Any] = {
    "storage_path": True,
    "router_dir": True,
    "trackers": True,
    "data": True,
    "model": {"inquiry"},
}


class MlflowRun:
    """An MLflow run on the server at ``MLFLOW_TRACKING_URI``.

    Args:
        run: its name.
        experiment: its experiment, unless ``MLFLOW_EXPERIMENT_NAME`` or
            ``MLFLOW_EXPERIMENT_ID`` is set.
        parameters: parameters of the run.
    """

    name: TrackerName = "mlflow"

    def __init__(self, run: str, experiment: str, parameters: Mapping[str, Any]) -> None:
        """Create the run object without connecting."""
        self._run = run
        self._experiment = experiment
        self._parameters = parameters
        self._id: str | None = None
        self._client: Any = None

    def open(self, run_id: str | None) -> str:
        """Start a run, or resume one."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for variable, value in _MLFLOW_DEFAULTS.items():
            os.environ.setdefault(variable, value)
        self._client = MlflowClient()
        found = self._find(self._id or run_id)
        if found is None:
            found = self._client.create_run(self._experiment_id(), run_name=self._run)
        self._id = str(found.info.run_id)
        if not found.data.params:
            params = [Param(name, str(value)) for name, value in self._parameters.items()]
            for first in range(0, len(params), _MLFLOW_PARAMETERS_PER_MESSAGE):
                batch = params[first : first + _MLFLOW_PARAMETERS_PER_MESSAGE]
                self._client.log_batch(self._id, params=batch)
        self._client.update_run(self._id, status="RUNNING")
        return self._id

    def url(self) -> str:
        """Return the name and id of the run."""
        return f"run {self._run} ({self._id})"

    def log(self, rows: Sequence[Row]) -> None:
        """Log the scalars of steps."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(row.unix_s * 1000), row.step)
            for row in rows
            for name, value in row.scalars.items()
        ]
        self._client.log_batch(self._id, metrics=metrics, synchronous=True)

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self._id)

    def _find(self, run: str | None) -> Any:
        """Return a run that can be resumed; None if there is none, or it was deleted."""
        from mlflow.exceptions import MlflowException

        if run is None:
            return None
        try:
            found = self._client.get_run(run)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return found if found.info.lifecycle_stage == "active" else None

    def _experiment_id(self) -> str:
        stated = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if stated:
            return stated
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._experiment
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))


class WandbRun:
    """A Weights & Biases run, with the API key in ``WANDB_API_KEY``.

    Steps are logged as a metric, ``step``, since W&B's own step counter must increase strictly.

    Args:
        run: its name.
        project: its project, unless ``WANDB_PROJECT`` is set.
        parameters: parameters of the run.
        folder: folder of W&B's local files, unless ``WANDB_DIR`` is set.
    """

    name: TrackerName = "wandb"

    def __init__(self, run: str, project: str, parameters: Mapping[str, Any], folder: Path) -> None:
        """Create the run object without connecting."""
        self._name = run
        self._project = project
        self._parameters = parameters
        self._folder = folder
        self._id: str | None = None
        self._run: Any = None

    def open(self, run_id: str | None) -> str:
        """Start a run, or resume one; offline, W&B cannot resume and starts a new run."""
        import wandb

        if self._id is None:
            is_offline = os.environ.get("WANDB_MODE") in ("offline", "dryrun")
            self._id = run_id if run_id and not is_offline else uuid.uuid4().hex
        folder = Path(os.environ.get("WANDB_DIR") or self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            id=self._id,
            resume="allow",
            name=self._name,
            project=os.environ.get("WANDB_PROJECT") or self._project,
            dir=str(folder),
            config=dict(self._parameters),
            allow_val_change=True,
            # The job's log already has the console output.
            settings=wandb.Settings(console="off", silent=True, finish_timeout=_WANDB_FINISH_S),
        )
        self._run.define_metric("step")
        for stage in STAGES:
            self._run.define_metric(f"{stage}/*", step_metric="step")
        return self._id

    def url(self) -> str:
        """Return the URL of the run, or the folder of an offline run."""
        return str(self._run.sync_dir if self._run.offline else self._run.url)

    def log(self, rows: Sequence[Row]) -> None:
        """Log the scalars of steps."""
        for row in rows:
            self._run.log({**row.scalars, "step": row.step})

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Check that trackers are installed and configured.

    Raises:
        MachineError: a package is not installed.
        ConfigError: MLflow's URL is not configured.
    """
    for name in names:
        if find_spec(name) is None:
            raise MachineError(
                f"tracker {name} is not installed: pip install {_PACKAGES[name]} on "
                "every training machine, or remove it from trackers"
            )
    if "mlflow" in names and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError(
            "tracker mlflow needs MLFLOW_TRACKING_URI, which is not set: set it to the server's "
            "URL, such as http://mlflow:5000, or remove mlflow from trackers"
        )


def tracker_variables(names: Sequence[TrackerName]) -> dict[str, str]:
    """Return this process's environment variables that configure trackers."""
    prefixes = tuple(prefix for name in names for prefix in _VARIABLES[name])
    return {
        variable: value
        for variable, value in os.environ.items()
        if variable.startswith(prefixes) and variable != _PROCESS_LOCAL
    }


def make_trackers(config: TrainJobConfig, run: str) -> list[Tracker]:
    """Create the trackers of a training without connecting to them.

    Args:
        config: the job; its name is the name of the experiment or project.
        run: name of its run.
    """
    parameters = dict(_flat(config.model_dump(mode="json", exclude=_NOT_LOGGED)))
    available: dict[TrackerName, Tracker] = {
        "mlflow": MlflowRun(run, config.name, parameters),
        "wandb": WandbRun(run, config.name, parameters, config.shared_folder / run),
    }
    return [available[name] for name in dict.fromkeys(config.trackers)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten settings to the dotted names used by ``--set``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, json.dumps(value)
        else:
            yield prefix + name, value
