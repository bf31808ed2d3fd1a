import asyncio
import json
import socket
from types import SimpleNamespace

import pytest
import yaml
from ray.serve import context
from ray.serve.config import HTTPOptions

from modelsat.artifacts.router_description import ROUTER_SCHEMA_VERSION
from modelsat.capability.cards import Card, Statement, write_cards
from modelsat.errors import ArtifactError, ConfigError, MachineError, ZooError
from serve_app.config import SecurityOptions, ServeConfig
from serve_app.ingress import Ingress
from serve_app.preflight import check_artifacts, check_exposure, check_port

TASKS_HASH = "tasks-1"


def card(name, tasks_hash=TASKS_HASH):
    return Card(name, tasks_hash, (Statement("addition", "sums", 3.0, 4),))


def entry(name, source="org/weights"):
    loading = {"model_loading_config": {"model_source": str(source)}}
    return {"name": name, "engine": "vllm", "llm_config": loading, "context_window": 8}


@pytest.fixture
def files(tmp_path):
    """A zoo of a and b, their cards, and a router's description (its weights are not read)."""
    config = ServeConfig(
        zoo=tmp_path / "zoo.yaml", cards=tmp_path / "cards.parquet", router=tmp_path / "router"
    )
    write_zoo(config, entry("a"), entry("b"))
    write_cards([card("b"), card("a"), card("retired")], config.cards)
    config.router.mkdir()
    write_description(config)
    return config


def write_zoo(config, *entries):
    config.zoo.write_text(yaml.safe_dump({"version": 1, "candidates": list(entries)}))


def write_description(config, **changes):
    description = {
        "schema_version": ROUTER_SCHEMA_VERSION,
        "tasks_hashes": [TASKS_HASH],
        "manifest": {},
        **changes,
    }
    (config.router / "router.json").write_text(json.dumps(description))


def test_files_that_fit_together_give_the_zoo(files):
    assert check_artifacts(files).names == ("a", "b")


def test_a_candidate_without_card_may_be_named_but_some_need_one(files):
    write_zoo(files, entry("a"), entry("new"))
    assert check_artifacts(files).names == ("a", "new")
    write_zoo(files, entry("new"))
    with pytest.raises(ZooError, match=r"no candidate of .* has a card"):
        check_artifacts(files)


def test_a_duplicate_candidate_is_named(files):
    write_zoo(files, entry("a"), entry("a"))
    with pytest.raises(ZooError, match=r"duplicate name.*'a'"):
        check_artifacts(files)


def test_an_empty_zoo_is_refused(files):
    write_zoo(files)
    with pytest.raises(ZooError, match="empty"):
        check_artifacts(files)


def test_cards_of_another_task_set_than_the_routers_are_refused(files):
    write_description(files, tasks_hashes=["tasks-2"])
    with pytest.raises(ArtifactError, match=r"tasks-1.*expected tasks-2"):
        check_artifacts(files)


def test_rejects_an_invalid_model_directory(files, tmp_path):
    write_zoo(files, entry("a", tmp_path / "nothing"))
    with pytest.raises(ZooError, match="not a model directory"):
        check_artifacts(files)


@pytest.mark.parametrize("missing", ["zoo", "cards"])
def test_a_missing_file_is_named(files, missing):
    path = getattr(files, missing)
    path.unlink()
    with pytest.raises((ArtifactError, ZooError), match=path.name):
        check_artifacts(files)


def test_a_missing_router_is_named(files):
    (files.router / "router.json").unlink()
    with pytest.raises(ArtifactError, match="is not a router directory"):
        check_artifacts(files)


def test_a_router_of_another_version_is_refused(files):
    write_description(files, schema_version=99)
    with pytest.raises(ArtifactError, match="99"):
        check_artifacts(files)


def test_a_free_port_is_accepted_and_stays_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_named(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(MachineError, match=f"port {port} .*in use"):
            check_port(host, port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(MachineError, match="cannot be used"):
        check_port("192.0.2.1", 8000)


@pytest.fixture
def listening(monkeypatch):
    """Makes the Serve of this process listen on an address."""

    def listen(host):
        client = SimpleNamespace(http_config=HTTPOptions(host=host))
        monkeypatch.setattr(context, "_get_global_client", lambda: client)

    return listen


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5"])
def test_the_address_that_serve_listens_on_overrides_the_configuration(files, listening, host):
    listening(host)
    assert files.host == "127.0.0.1"
    with pytest.raises(ConfigError, match=rf"http_options: host {host} .*security\.keys"):
        check_exposure(files.security)
    settings = files.model_dump(mode="json")
    with pytest.raises(ConfigError, match="http_options"):
        asyncio.run(Ingress.__init__(SimpleNamespace(), settings, None, None))


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", {}),
        ("localhost", {}),
        (None, {}),  # no proxy at all
        ("0.0.0.0", {"keys": "keys.yaml"}),
        ("0.0.0.0", {"allow_anonymous": True}),
    ],
)
def test_a_public_address_with_the_explicit_setting_is_accepted(listening, host, options):
    listening(host)
    check_exposure(SecurityOptions(**options))
