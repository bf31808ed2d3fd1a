"""The zoo changed by command while requests come in: two ingress and two scorer replicas."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psutil
import pytest
import yaml
from typer.testing import CliRunner

from modelsat.capability.cards import read_cards, write_cards
from modelsat.cli.main import app
from modelsat.errors import ArtifactError, ZooError
from serve_app.api.key_file import KeyFile, hash_key
from serve_app.config import ServeConfig
from serve_app.lifecycle import deploy, shutdown
from tests.fakes.upstream import Upstream, running_upstream
from tests.integration.serve_app.conftest import ELASTIC, STEADY, Artifacts
from tests.integration.serve_app.tiny_artifacts import remote_entry, write_card_table, write_zoo

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning"),
]

REMOTE = ("remote-a", "remote-b", "remote-c")
NAMES = (STEADY, *REMOTE, ELASTIC)
ADMIN_KEY, CLIENT_KEY = "sk-modelsat-of-the-admin", "sk-modelsat-of-a-client"
AS_CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}
REQUESTS_PER_S = 10


@dataclass
class Endpoint:
    """A running endpoint, its zoo files, and the upstreams behind it."""

    config: ServeConfig
    artifacts: Artifacts
    upstreams: dict[str, Upstream]

    def command(self, *words: str, exit_code: int = 0) -> str:
        """`modelsat zoo`, as an administrator runs it."""
        url = self.config.url.removesuffix("/v1")
        result = CliRunner(env={"MODELSAT_ADMIN_KEY": ADMIN_KEY}).invoke(
            app, ["zoo", *words, "--url", url]
        )
        assert result.exit_code == exit_code, result.output
        return result.stderr if exit_code else result.stdout

    def described(self) -> dict:
        return json.loads(self.command("list", "--json"))

    def add(self, name: str, cards: str, *more: str, exit_code: int = 0) -> str:
        zoo = ("--zoo", str(self.artifacts.zoo), "--cards", cards)
        return self.command("add", name, *zoo, *more, exit_code=exit_code)

    def scores(self, text: str) -> dict[str, float]:
        """P(correct) of every candidate, generating nothing."""
        body = {"messages": [{"role": "user", "content": text}]}
        answer = httpx.post(
            f"{self.config.url}/route", json=body, headers=AS_CLIENT, trust_env=False, timeout=60
        )
        assert answer.status_code == 200, answer.text
        explained = answer.json()
        return dict(zip(explained["model_names"], explained["confidences"], strict=True))

    def num_received(self, name: str) -> int:
        return sum(self.upstreams[name].num_requests.values())


@dataclass
class Load:
    """Requests that come in at a steady rate, each with a text of its own."""

    url: str
    fields: dict
    answers: list[tuple[int, str | None]] = field(default_factory=list)
    moved: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, num_more: int) -> list[tuple[int, str | None]]:
        """The next answers."""
        start = len(self.answers)
        with self.moved:
            assert self.moved.wait_for(lambda: len(self.answers) >= start + num_more, timeout=120)
        return self.answers[start:]

    async def run(self, stopped: asyncio.Event) -> None:
        limits = httpx.Limits(max_connections=200)
        headers = AS_CLIENT
        async with (
            httpx.AsyncClient(
                headers=headers, timeout=120, limits=limits, trust_env=False
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            number = 0
            while not stopped.is_set():
                group.create_task(self._ask(client, f"What is {number} plus {7 * number}?"))
                number += 1
                await asyncio.sleep(1 / REQUESTS_PER_S)

    async def _ask(self, client: httpx.AsyncClient, text: str) -> None:
        messages = [{"role": "user", "content": text}]
        body = {"model": "auto", "messages": messages, "max_tokens": 2, **self.fields}
        answer = await client.post(f"{self.url}/chat/completions", json=body)
        with self.moved:
            selected = answer.headers.get("x-modelsat-selected-model")
            self.answers.append((answer.status_code, selected))
            self.moved.notify_all()


@contextmanager
def load(endpoint: Endpoint, **fields: object) -> Iterator[Load]:
    """Requests for as long as a block runs; all of them have to succeed."""
    requests = Load(endpoint.config.url, fields)
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(requests.run(stopped),))
    thread.start()
    try:
        yield requests
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
    assert Counter(status for status, _ in requests.answers) == {200: len(requests.answers)}


def entries_of(described: dict) -> list[dict]:
    """Candidates as they are configured; replicas are counted at the start only."""
    return [{**entry, "running_replicas": None} for entry in described["candidates"]]


@pytest.fixture(scope="module")
def endpoint(
    artifacts: Artifacts, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """One local and two remote candidates; one more of each kind in the zoo file for later."""
    root = tmp_path_factory.mktemp("registry")
    keys = [
        {"name": "admin", "sha256": hash_key(ADMIN_KEY), "role": "admin"},
        {"name": "client", "sha256": hash_key(CLIENT_KEY)},
    ]
    (root / "keys.yaml").write_text(yaml.safe_dump(KeyFile(keys=keys).model_dump(mode="json")))
    with running_upstream("a") as a, running_upstream("b") as b, running_upstream("c") as c:
        upstreams = dict(zip(REMOTE, (a, b, c), strict=True))
        local = yaml.safe_load(artifacts.zoo.read_text())["candidates"]
        by_name = {entry["name"]: entry for entry in local}
        by_name |= {name: remote_entry(name, up.url) for name, up in upstreams.items()}
        first = write_zoo(root / "first.yaml", [by_name[n] for n in (STEADY, *REMOTE[:2])])
        zoo = write_zoo(root / "zoo.yaml", [by_name[n] for n in NAMES])
        cards = write_card_table(root / "cards.parquet", NAMES)
        config = artifacts.config(
            zoo=first,
            cards=cards,
            registry={"folder": root / "registry"},
            security={"keys": root / "keys.yaml"},
            ingress={"num_replicas": 2, "num_cpus": 0.5},
            scorer={"num_replicas": 2, "num_cpus": 0.5, "num_threads": 1},
        )
        deploy(config)
        yield Endpoint(config, Artifacts(zoo, cards, artifacts.router), upstreams)
        shutdown()


def replicas_of(described: dict) -> set[str]:
    return {follower["id"] for follower in described["followers"]}


def engine_processes(name: str) -> set[int]:
    """Processes of a candidate's application."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        if f"ServeReplica:{name}" in title:
            found |= {process.pid, *(child.pid for child in process.children(recursive=True))}
    return found


def test_all_replicas_follow(endpoint: Endpoint):
    described = endpoint.described()
    assert described["agreed"]
    assert Counter(label.split("/")[0] for label in replicas_of(described)) == {
        "ingress": 2,
        "scorer": 2,
    }
    assert [c["name"] for c in described["candidates"]] == [STEADY, *REMOTE[:2]]


def test_candidates_come_and_go_without_a_failed_request(endpoint: Endpoint):
    cards = str(endpoint.artifacts.cards)
    before = endpoint.described()
    question = "Which number comes after twelve?"
    scores_before = endpoint.scores(question)
    with load(endpoint, models=["remote-*"]) as requests:
        favourite = Counter(selected for _, selected in requests.wait_for(30)).most_common(1)[0][0]

        assert "all 4 replicas agree" in endpoint.command("remove", favourite)
        num_received = endpoint.num_received(favourite)
        assert favourite not in {selected for _, selected in requests.wait_for(40)[-30:]}
        assert endpoint.num_received(favourite) == num_received

        assert "all 4 replicas agree" in endpoint.add(favourite, cards)
        assert favourite in {selected for _, selected in requests.wait_for(40)}

        assert "all 4 replicas agree" in endpoint.add("remote-c", cards)
        scores = endpoint.scores(question)
        assert set(scores) == {*scores_before, "remote-c"}
        assert {name: scores[name] for name in scores_before} == scores_before
        requests.wait_for(20)

        assert "all 4 replicas agree" in endpoint.command("rollback", str(before["version"]))
        requests.wait_for(20)
    after = endpoint.described()
    assert entries_of(after) == entries_of(before)
    assert replicas_of(after) == replicas_of(before)


def test_a_card_is_changed_or_refused_under_load(endpoint: Endpoint, tmp_path):
    path, cards = str(tmp_path / "cards.parquet"), read_cards(endpoint.artifacts.cards)
    # The 21st card of such a table has 34 of 40 answers right; the one served has 8.
    moved = write_card_table(
        tmp_path / "moved.parquet", [*(f"other-{i}" for i in range(20)), REMOTE[0]]
    )
    with load(endpoint, models=["remote-*"]) as requests:
        version = endpoint.described()["version"]
        refused = endpoint.add(REMOTE[0], str(moved), exit_code=ZooError.exit_code)
        assert "standard errors" in refused
        write_card_table(tmp_path / "cards.parquet", [REMOTE[0]], tasks_hash="f" * 16)
        endpoint.add(REMOTE[0], path, exit_code=ArtifactError.exit_code)
        assert endpoint.described()["version"] == version
        endpoint.add(REMOTE[0], str(moved), "--force")
        assert endpoint.described()["version"] == version + 1
        requests.wait_for(20)
        write_cards([cards[REMOTE[0]]], path)
        endpoint.add(REMOTE[0], path, "--force")


def test_an_engine_is_added_and_removed_beside_one_that_keeps_its_processes(endpoint: Endpoint):
    steady = engine_processes("candidate-tiny-steady")
    assert len(steady) >= 1
    with load(endpoint, models=["remote-*"]) as requests:
        endpoint.add(ELASTIC, str(endpoint.artifacts.cards))
        requests.wait_for(10)
        pinned = httpx.post(
            f"{endpoint.config.url}/chat/completions",
            json={"model": ELASTIC, "messages": [{"role": "user", "content": "Hi"}]},
            headers=AS_CLIENT,
            trust_env=False,
            timeout=120,
        )
        assert (pinned.status_code, pinned.json()["model"]) == (200, ELASTIC)
        assert engine_processes("candidate-tiny-elastic")
        endpoint.command("remove", ELASTIC)
        requests.wait_for(10)
    assert engine_processes("candidate-tiny-steady") == steady
    unknown = httpx.post(
        f"{endpoint.config.url}/chat/completions",
        json={"model": ELASTIC, "messages": [{"role": "user", "content": "Hi"}]},
        headers=AS_CLIENT,
        trust_env=False,
    )
    assert unknown.json()["error"]["code"] == "model_not_found"
