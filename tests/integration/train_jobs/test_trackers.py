"""MLflow and Weights & Biases through their own packages; nothing leaves the machine."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from modelsat.errors import ConfigError, MachineError
from tests.integration.train_jobs.wandb_files import read_history, read_run
from tests.support.train_jobs.event_files import read_scalars
from tests.support.train_jobs.toy_job import job_values
from train_jobs.config import TrainJobConfig
from train_jobs.job import run_name, train_router
from train_jobs.tracker_feed import FeedTiming, Row, TrackerFeed
from train_jobs.trackers import MlflowRun

pytestmark = [
    pytest.mark.ray,
    # Ray 2.60 sets, copying its own settings, those it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Path:
    """Both trackers set up by their variables, with folders instead of servers."""
    variables = {
        "MLFLOW_TRACKING_URI": (tmp_path / "mlflow").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_EXPERIMENT_NAME": "routers",
        "WANDB_MODE": "offline",
        "WANDB_PROJECT": "routers",
        "WANDB_DIR": str(tmp_path / "wandb"),
        "WANDB_ERROR_REPORTING": "false",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def job(tables: Path, out: Path, **changes) -> TrainJobConfig:
    """Three epochs on toy tables, logged to both trackers."""
    values = {**job_values(tables, out), "trackers": ["mlflow", "wandb"], **changes}
    values["resources"] = {"num_workers": 1}
    values["training"]["validate_every_steps"] = 5
    values["training"]["connector_stage"]["epochs"] = 1
    values["training"]["all_stage"]["epochs"] = 2
    return TrainJobConfig.model_validate(values)


def mlflow_metrics(client: MlflowClient, run: str) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of a run by name, in logged order."""
    return {
        name: [(one.step, one.value) for one in client.get_metric_history(run, name)]
        for name in client.get_run(run).data.metrics
    }


@pytest.mark.usefixtures("ray_cluster")
def test_trackers_have_the_same_scalars_as_the_event_files(folders, noisy_tables):
    # The cluster began before the variables were set: they come from the driver.
    config = job(noisy_tables, folders)
    train_router(config)
    name = run_name(config)
    held = read_scalars(Path(config.storage_path) / name / "tensorboard")

    client = MlflowClient((folders / "mlflow").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("routers").experiment_id])
    assert (run.info.run_name, run.info.status) == (name, "FINISHED")
    logged = mlflow_metrics(client, run.info.run_id)
    (file,) = (folders / "wandb").rglob("*.wandb")
    history = read_history(file)
    assert logged.keys() == held.keys()
    for tag, values in held.items():
        assert len(logged[tag]) == len(values)
        assert dict(logged[tag]) == pytest.approx(values)
        rows = [(row["step"], row[tag]) for row in history if tag in row]
        assert rows == logged[tag]

    parameters = run.data.params
    assert parameters["training.all_stage.learning_rate"] == "0.002"
    assert parameters["resources.num_workers"] == "1"
    assert config.model.inquiry not in parameters.values()
    shown, project, configuration = read_run(file)
    assert (shown, project) == (name, "routers")
    assert configuration.items() >= {"training.batch_size": 8, "deepspeed.zero_stage": 2}.items()
    assert config.model.inquiry not in configuration.values()


def test_mlflow_resumes_its_run_and_replaces_a_deleted_one(folders):
    client = MlflowClient((folders / "mlflow").as_uri())
    first = MlflowRun("toy-1", "unused", {"seed": 0})
    run = first.open(None)
    first.log([Row(1, 100.0, {"loss": 0.5}), Row(2, 101.0, {"loss": 0.25})])
    # Settings that do not affect the weights, such as max_failures, may differ.
    again = MlflowRun("toy-1", "unused", {"seed": 1})
    assert again.open(run) == run
    assert client.get_run(run).info.status == "RUNNING"
    again.log([Row(3, 102.0, {"loss": 0.125})])
    again.close()
    assert client.get_run(run).info.status == "FINISHED"
    assert mlflow_metrics(client, run) == {"loss": [(1, 0.5), (2, 0.25), (3, 0.125)]}
    assert client.get_run(run).data.params == {"seed": "0"}
    client.delete_run(run)
    assert MlflowRun("toy-1", "unused", {}).open(run) != run


def test_unreachable_mlflow_server_logs_a_message(folders, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said: list[str] = []
    tracker = MlflowRun("toy-1", "unused", {})
    timing = FeedTiming(retry_s=60, end_s=20)
    feed = TrackerFeed(
        tracker, str(folders), "toy-1", repeats_from=0, say=said.append, timing=timing
    )
    feed.write({"loss": 0.5}, 1)
    feed.end()
    feed.wait()
    warning, lacking = said
    assert warning.startswith("mlflow failed, training continues: ")
    assert lacking == "mlflow is missing 1 steps of this run"


def test_rejects_unusable_trackers_before_training(folders, noisy_tables, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(ConfigError, match="needs MLFLOW_TRACKING_URI, which is not set"):
        train_router(job(noisy_tables, folders))
    monkeypatch.setattr("train_jobs.trackers.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="tracker wandb is not installed: pip install"):
        train_router(job(noisy_tables, folders, trackers=["wandb"]))
    assert not list(folders.iterdir())
