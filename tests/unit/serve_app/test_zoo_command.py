"""``modelsat zoo`` against the administration of an endpoint, over real HTTP."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
import yaml
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from typer.testing import CliRunner

from modelsat.artifacts.store import write_json
from modelsat.capability.cards import write_cards
from modelsat.cli.main import app
from modelsat.command import CommandError
from modelsat.errors import ArtifactError, ConfigError, MachineError, ZooError
from serve_app.api.admin import add_admin_routes
from serve_app.contracts.errors import ApiError
from serve_app.contracts.headers import TIMEOUT_S
from tests.support.serve_app.zoos import card, local_entry, remote_entry

pytestmark = pytest.mark.usefixtures("loopback")

KEY = "sk-modelsat-admin"
SERVE_TIMEOUT_S = 630  # of the shipped Serve file, for requests that do not name another
PRICE = {"input_usd_per_mtok": 0.5, "output_usd_per_mtok": 1.5}


class FakeZoo:
    """Accepts every change and remembers it."""

    def __init__(self):
        self.calls = []
        self.error = None
        self.allowed_s = 0.0
        self.followers = [
            {"id": "ingress/1", "version": 2, "problem": None},
            {"id": "scorer/2", "version": 2, "problem": None},
        ]

    def _changed(self, *call):
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return {
            "version": 2,
            "change": "the change",
            "agreed": all(f["version"] == 2 for f in self.followers),
            "followers": self.followers,
        }

    async def describe(self):
        candidate = {
            "name": "tiny/a",
            "engine": "openai",
            "source": "http://x/v1",
            "card_version": "0123",
            "accuracy_fraction": 0.75,
            "price": PRICE,
            "problem": None,
        }
        extra = {"router": "/r", "candidates": [candidate], "stopping": ["candidate-old"]}
        return {**self._changed("describe"), **extra, "changing": "add candidate 'b'"}

    async def versions(self):
        record = {"created_at": "2026", "change": "c", "router": "/r", "router_hash": "h"}
        return [{"version": n, **record} for n in (2, 1)]

    async def put_candidate(self, entry, card, force):
        return self._changed("put", entry, card, force)

    async def remove_candidate(self, name):
        return self._changed("remove", name)

    async def set_router(self, router):
        return self._changed("router", router)

    async def roll_back(self, version):
        return self._changed("rollback", version)


def administration(zoo: FakeZoo) -> FastAPI:
    """An application that administrates a zoo, where Ray Serve would let it."""

    def authorize(request: Request) -> None:
        zoo.allowed_s = float(request.headers.get(TIMEOUT_S, SERVE_TIMEOUT_S))
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise ApiError(401, "the API key is not valid", code="invalid_api_key")

    async def on_error(_request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status, error.headers)

    api = FastAPI()
    api.add_exception_handler(ApiError, on_error)
    add_admin_routes(api, zoo, authorize)
    return api


@contextmanager
def serving(api: FastAPI) -> Iterator[str]:
    """An application on this machine."""
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def endpoint():
    zoo = FakeZoo()
    with serving(administration(zoo)) as url:
        yield zoo, url


@pytest.fixture
def zoo(endpoint):
    endpoint[0].__init__()
    return endpoint[0]


@pytest.fixture
def run(zoo, endpoint, monkeypatch):
    monkeypatch.setenv("MODELSAT_ADMIN_KEY", KEY)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    def invoke(*arguments):
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, ["zoo", *words, "--url", endpoint[1]])

    return invoke


@pytest.fixture
def files(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    entries = [remote_entry("tiny/a", price=PRICE), local_entry("b", "./model")]
    zoo_file = tmp_path / "zoo.yaml"
    zoo_file.write_text(yaml.safe_dump({"version": 1, "candidates": entries}))
    write_cards([card("tiny/a"), card("b", 1, 2)], tmp_path / "cards.parquet")
    return tmp_path


def test_lists_the_served_candidates(run):
    result = run("list")
    assert result.exit_code == 0, result.output
    assert "tiny/a     openai  http://x/v1  0123          0.75      0.5" in result.output
    assert "version 2, the change; router /r" in result.output
    assert "in progress: add candidate 'b'" in result.output
    assert "draining: candidate-old" in result.output
    assert "all 2 replicas agree" in result.output
    assert json.loads(run("list", "--json").stdout)["candidates"][0]["price"] == PRICE


def test_adds_a_candidate_with_its_card(run, zoo, files):
    cards = files / "cards.parquet"
    result = run("add", "b", "--zoo", files / "zoo.yaml", "--cards", cards, "--force")
    assert result.exit_code == 0, result.output
    assert result.stdout == "version 2: the change\nall 2 replicas agree\n"
    ((_, entry, document, force),) = zoo.calls
    assert entry == local_entry("b", str(files / "model"))
    assert (document["candidate"], document["card_version"]) == ("b", card("b", 1, 2).card_version)
    assert [s["num_correct"] for s in document["statements"]] == [1, 2]
    assert force is True


def test_price_change_needs_no_card(run, zoo, files):
    assert run("add", "tiny/a", "--zoo", files / "zoo.yaml").exit_code == 0
    assert zoo.calls == [("put", remote_entry("tiny/a", price=PRICE), None, False)]


def test_profile_option_profiles_the_candidate_first(run, zoo, files, monkeypatch):
    write_json(files / "profile.yaml", {"output_dir": str(files / "out"), "tasks": "tasks.json"})

    def sit_the_test(arguments, echo):
        assert arguments[:3] == ["profile", "--config", str(files / "profile.yaml")]
        values = dict(option.split("=", 1) for option in arguments[4::2])
        assert json.loads(values["zoo"]) == str(files / "zoo.yaml")
        assert json.loads(values["candidates"]) == ["tiny/a"]
        echo("1000 of 1000 answers")
        write_cards([card("tiny/a", 9, 9)], f"{json.loads(values['output_dir'])}/cards.parquet")

    monkeypatch.setattr("serve_app.admin_client.run_command", sit_the_test)
    added = ("add", "tiny/a", "--zoo", files / "zoo.yaml", "--profile", files / "profile.yaml")
    result = run(*added, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["version"] == 2
    assert "1000 of 1000 answers" in result.stderr
    assert zoo.calls[-1][2]["statements"][0]["num_correct"] == 9

    def fail(arguments, echo):
        error = CommandError("`modelsat profile` failed with exit code 8: no engine")
        error.exit_code = 8
        raise error

    monkeypatch.setattr("serve_app.admin_client.run_command", fail)
    num_calls = len([call for call in zoo.calls if call[0] == "put"])
    result = run(*added)
    assert (result.exit_code, "no engine" in result.stderr) == (8, True)
    assert len([call for call in zoo.calls if call[0] == "put"]) == num_calls

    write_json(files / "profile.yaml", {"output_dir": "out"})
    result = run(*added)
    assert (result.exit_code, "has no tasks" in result.stderr) == (ConfigError.exit_code, True)


def test_removes_rolls_back_and_changes_the_router(run, zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (("remove", "tiny/a"), ("rollback", 1), ("router", "new-router")):
        assert run(*words).exit_code == 0
    router = str(tmp_path / "new-router")
    assert zoo.calls == [("remove", "tiny/a"), ("rollback", 1), ("router", router)]


def test_waits_for_a_slow_engine_start(run, zoo, files):
    cards = files / "cards.parquet"
    added = run("add", "b", "--zoo", files / "zoo.yaml", "--cards", cards)
    assert added.exit_code == 0, added.output
    assert zoo.allowed_s == 3600


def test_versions_are_listed(run):
    assert "2        2026        c       /r      h" in run("versions").output
    assert [v["version"] for v in json.loads(run("versions", "--json").stdout)["versions"]] == [
        2,
        1,
    ]


def test_lists_replicas_that_lag_behind(run, zoo):
    zoo.followers[1] = {"id": "scorer/2", "version": 1, "problem": "no weights"}
    result = run("remove", "tiny/a")
    assert result.exit_code == 0
    assert "scorer/2 is still at version 1: no weights" in result.output


@pytest.mark.parametrize("kind", [ZooError, ArtifactError, ConfigError, MachineError])
def test_endpoint_error_has_the_same_exit_code_as_locally(run, zoo, kind):
    zoo.error = kind("candidate 'b' is refused; do otherwise")
    result = run("remove", "b")
    assert result.exit_code == kind.exit_code
    assert result.stderr == "error: candidate 'b' is refused; do otherwise\n"


def test_requires_a_key(run, monkeypatch):
    monkeypatch.setenv("OTHER", "wrong")
    refused = run("list", "--key-env", "OTHER")
    assert refused.exit_code == ConfigError.exit_code
    assert "rejects the key: the API key is not valid; set OTHER to an admin key" in refused.stderr
    absent = run("list", "--key-env", "NO_SUCH_VARIABLE")
    assert absent.exit_code == ConfigError.exit_code
    assert "NO_SUCH_VARIABLE is not set" in absent.stderr


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("http://127.0.0.1:1", MachineError, "cannot be reached"),
        ("ftp://x", ConfigError, "is not a URL"),
        ("", ConfigError, "is not a URL"),
    ],
)
def test_invalid_url_is_a_one_line_error(monkeypatch, url, kind, said):
    monkeypatch.setenv("MODELSAT_ADMIN_KEY", KEY)
    result = CliRunner().invoke(app, ["zoo", "list", "--url", url])
    assert result.exit_code == kind.exit_code
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_endpoint_without_administration_is_reported(monkeypatch):
    async def unknown(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse(ApiError(404, "no such path").body, 404)

    monkeypatch.setenv("MODELSAT_ADMIN_KEY", KEY)
    ours = FastAPI()
    ours.add_exception_handler(404, unknown)
    for api, said in ((ours, "security.keys"), (FastAPI(), "not like a Model-SAT endpoint")):
        with serving(api) as url:
            result = CliRunner().invoke(app, ["zoo", "list", "--url", f"{url}/v1/"])
        assert (result.exit_code, said in result.stderr) == (MachineError.exit_code, True)


def test_invalid_files_are_reported_before_any_request(run, zoo, files):
    cards = files / "cards.parquet"
    unknown = run("add", "x", "--zoo", files / "zoo.yaml")
    assert unknown.exit_code == ZooError.exit_code
    write_cards([card("b")], cards)
    without = run("add", "tiny/a", "--zoo", files / "zoo.yaml", "--cards", cards)
    assert "no card for tiny/a" in without.stderr
    both = run("add", "b", "--zoo", files / "zoo.yaml", "--cards", cards, "--profile", cards)
    assert both.exit_code == ConfigError.exit_code
    assert zoo.calls == []
