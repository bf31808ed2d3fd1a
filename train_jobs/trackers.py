"""MLflow and Weights & Biases, set up by their own environment variables."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelsat.errors import ConfigError, MachineError
from modelsat.training.stages import STAGES
from train_jobs.config import TrackerName, TrainJobConfig
from train_jobs.tracker_feed import Row, Tracker

_PACKAGES: dict[TrackerName, str] = {"mlflow": "mlflow-skinny", "wandb": "wandb"}
_VARIABLES: dict[TrackerName, tuple[str, ...]] = {
    "mlflow": ("MLFLOW_", "DATABRICKS_"),
    "wandb": ("WANDB_",),
}
_OF_ONE_PROCESS = "WANDB_SERVICE"  # where the driver's own wandb listens, if it has one
# By itself MLflow's client tries for minutes; the feed tries again, and tells of it after seconds.
_MLFLOW_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
_MLFLOW_PARAMETERS_PER_MESSAGE = 100
_WANDB_FINISH_S = 20.0  # below what the end of a training waits
# Of a job's settings: paths and addresses say nothing of what was trained, the inquiry is a prompt.
_NOT_TOLD: dict[str, Any] = {
    "storage_path": True,
    "router_dir": True,
    "trackers": True,
    "data": True,
    "model": {"inquiry"},
}


class MlflowRun:
    """A run of MLflow, where ``MLFLOW_TRACKING_URI`` says.

    Args:
        run: its name.
        experiment: of which it is one, unless ``MLFLOW_EXPERIMENT_NAME`` or
            ``MLFLOW_EXPERIMENT_ID`` says otherwise.
        parameters: of the run.
    """

    name: TrackerName = "mlflow"

    def __init__(self, run: str, experiment: str, parameters: Mapping[str, Any]) -> None:
        """Nothing is reached yet."""
        self._run = run
        self._experiment = experiment
        self._parameters = parameters
        self._id: str | None = None
        self._client: Any = None

    def open(self, known: str | None) -> str:
        """Begin a run, or go on with one."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for variable, value in _MLFLOW_DEFAULTS.items():
            os.environ.setdefault(variable, value)
        self._client = MlflowClient()
        found = self._find(self._id or known)
        if found is None:
            found = self._client.create_run(self._experiment_id(), run_name=self._run)
        self._id = str(found.info.run_id)
        if not found.data.params:
            told = [Param(name, str(value)) for name, value in self._parameters.items()]
            for first in range(0, len(told), _MLFLOW_PARAMETERS_PER_MESSAGE):
                some = told[first : first + _MLFLOW_PARAMETERS_PER_MESSAGE]
                self._client.log_batch(self._id, params=some)
        self._client.update_run(self._id, status="RUNNING")
        return self._id

    def where(self) -> str:
        """Names of experiment and run."""
        return f"run {self._run} ({self._id})"

    def tell(self, rows: Sequence[Row]) -> None:
        """Tell of steps."""
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
        """A run that can be gone on with; None if there is none, or people deleted it."""
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
    """A run of Weights & Biases, its key in ``WANDB_API_KEY``.

    Steps are a value of their own, ``step``: by W&B's count each number comes once, and never
    after a higher one.

    Args:
        run: its name.
        project: of which it is one, unless ``WANDB_PROJECT`` says otherwise.
        parameters: of the run.
        folder: for what W&B keeps on disk, unless ``WANDB_DIR`` says otherwise.
    """

    name: TrackerName = "wandb"

    def __init__(self, run: str, project: str, parameters: Mapping[str, Any], folder: Path) -> None:
        """Nothing is reached yet."""
        self._name = run
        self._project = project
        self._parameters = parameters
        self._folder = folder
        self._id: str | None = None
        self._run: Any = None

    def open(self, known: str | None) -> str:
        """Begin a run, or go on with one; without a server W&B cannot, and begins another."""
        import wandb

        if self._id is None:
            is_offline = os.environ.get("WANDB_MODE") in ("offline", "dryrun")
            self._id = known if known and not is_offline else uuid.uuid4().hex
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
            # The job's log has what the console shows.
            settings=wandb.Settings(console="off", silent=True, finish_timeout=_WANDB_FINISH_S),
        )
        self._run.define_metric("step")
        for stage in STAGES:
            self._run.define_metric(f"{stage}/*", step_metric="step")
        return self._id

    def where(self) -> str:
        """Address of the run, or the folder of one without a server."""
        return str(self._run.sync_dir if self._run.offline else self._run.url)

    def tell(self, rows: Sequence[Row]) -> None:
        """Tell of steps."""
        for row in rows:
            self._run.log({**row.scalars, "step": row.step})

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Refuse trackers that cannot work here.

    Raises:
        MachineError: a package is not installed.
        ConfigError: nothing says where MLflow is.
    """
    for name in names:
        if find_spec(name) is None:
            raise MachineError(
                f"trackers names {name}, which is not installed: pip install {_PACKAGES[name]} on "
                "every machine that trains, or leave it out"
            )
    if "mlflow" in names and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError(
            "trackers names mlflow, but MLFLOW_TRACKING_URI is not set: set it to the server's "
            "address, such as http://mlflow:5000, or leave mlflow out"
        )


def tracker_variables(names: Sequence[TrackerName]) -> dict[str, str]:
    """The environment variables of this process that set up trackers."""
    prefixes = tuple(prefix for name in names for prefix in _VARIABLES[name])
    return {
        variable: value
        for variable, value in os.environ.items()
        if variable.startswith(prefixes) and variable != _OF_ONE_PROCESS
    }


def make_trackers(config: TrainJobConfig, run: str) -> list[Tracker]:
    """The trackers of a training, none of them reached yet.

    Args:
        config: the job; its name is that of the experiment or project.
        run: name of its run.
    """
    parameters = dict(_flat(config.model_dump(mode="json", exclude=_NOT_TOLD)))
    made: dict[TrackerName, Tracker] = {
        "mlflow": MlflowRun(run, config.name, parameters),
        "wandb": WandbRun(run, config.name, parameters, config.shared_folder / run),
    }
    return [made[name] for name in dict.fromkeys(config.trackers)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by the names that ``--set`` has for them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, json.dumps(value)
        else:
            yield prefix + name, value
