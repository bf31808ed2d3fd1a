"""The applications that a failed start leaves behind, on a fake Serve."""

from types import SimpleNamespace

import pytest
from ray.serve.schema import ApplicationStatus

from modelsat.errors import ArtifactError
from serve_app import lifecycle
from serve_app.builder import ROUTER_APPLICATION
from serve_app.commands import run
from serve_app.config import ServeConfig
from tests.support.serve_app.zoos import remote_entry, zoo

CONFIG = ServeConfig(zoo="zoo.yaml", cards="cards.parquet", router="router")
FAILED = SimpleNamespace(
    status=ApplicationStatus.DEPLOY_FAILED, message="no weights", deployments={}
)
RUNNING = SimpleNamespace(status=ApplicationStatus.RUNNING)


class PlayedServe:
    """A Serve that runs some applications; every router deployed from now on fails.

    Attributes:
        applications: what runs, by name.
        interrupted: whether Ctrl-C comes while the router starts.
    """

    def __init__(self, *names):
        self.applications = dict.fromkeys(names, RUNNING)
        self.interrupted = False

    def status(self):
        return SimpleNamespace(applications=self.applications, proxies={"node": "HEALTHY"})

    def start(self, **_options):
        pass

    def deploy_router(self, _config):
        self.applications[ROUTER_APPLICATION] = FAILED
        if self.interrupted:
            raise KeyboardInterrupt

    def delete(self, name):
        del self.applications[name]

    def shutdown(self):
        self.applications.clear()


@pytest.fixture
def played(monkeypatch):
    """Replaces Ray Serve by a fake."""

    def play(*names):
        serve = PlayedServe(*names)
        cluster = SimpleNamespace(is_initialized=lambda: True, cluster_resources=dict)
        monkeypatch.setattr(lifecycle, "serve", serve)
        monkeypatch.setattr(lifecycle, "ray", cluster)
        monkeypatch.setattr(lifecycle, "run_router", serve.deploy_router)
        monkeypatch.setattr(lifecycle, "check_artifacts", lambda _config: zoo(remote_entry("a")))
        monkeypatch.setattr(lifecycle, "raise_on_signals", lambda: None)
        return serve

    return play


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_running_endpoint_survives_a_failed_start(played, interrupted):
    serve = played(ROUTER_APPLICATION, "candidate-a")
    serve.interrupted = interrupted
    with pytest.raises(KeyboardInterrupt if interrupted else ArtifactError):
        run(CONFIG, block=False)
    assert set(serve.applications) == {ROUTER_APPLICATION, "candidate-a"}


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_failed_first_start_leaves_applications_of_others_running(played, interrupted):
    serve = played("of-others")
    serve.interrupted = interrupted
    with pytest.raises(KeyboardInterrupt if interrupted else ArtifactError):
        run(CONFIG, block=True)
    assert set(serve.applications) == {"of-others"}


def test_the_command_reports_that_the_earlier_endpoint_still_runs(played, capsys):
    played(ROUTER_APPLICATION)
    with pytest.raises(ArtifactError, match="no weights"):
        run(CONFIG, block=False)
    assert "that ran before is left running" in capsys.readouterr().out
