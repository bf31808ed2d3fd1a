"""An endpoint whose zoo is changed by command, and requests that must all succeed meanwhile."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import ray
import yaml
from typer.testing import CliRunner

from modelsat.cli.main import app
from serve_app.api.key_file import KeyFile, hash_key
from serve_app.config import ServeConfig
from tests.support.serve_app.served import Artifacts
from tests.support.upstream import Upstream

ADMIN_KEY, CLIENT_KEY = "sk-modelsat-of-the-admin", "sk-modelsat-of-a-client"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
AS_CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}
REQUESTS_PER_S = 10


def write_keys(path: Path) -> Path:
    """The key file that knows both keys."""
    keys = [
        {"name": "admin", "sha256": hash_key(ADMIN_KEY), "role": "admin"},
        {"name": "client", "sha256": hash_key(CLIENT_KEY)},
    ]
    path.write_text(yaml.safe_dump(KeyFile(keys=keys).model_dump(mode="json")))
    return path


@dataclass
class Endpoint:
    """A running endpoint, its zoo files, and the upstreams behind it."""

    config: ServeConfig
    artifacts: Artifacts
    upstreams: dict[str, Upstream]

    def command(self, *words: str, exit_code: int = 0) -> str:
        """`modelsat zoo`, as an administrator runs it."""
        url = self.config.url.removesuffix("/v1")
        environment = {
            "MODELSAT_ADMIN_KEY": ADMIN_KEY,
            "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
        }
        result = CliRunner(env=environment).invoke(app, ["zoo", *words, "--url", url])
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

    def ask(self, model: str, **fields: object) -> httpx.Response:
        """One answer of at most 4 tokens."""
        messages = [{"role": "user", "content": "Which number comes after twelve?"}]
        return httpx.post(
            f"{self.config.url}/chat/completions",
            json={"model": model, "messages": messages, "max_tokens": 4, **fields},
            headers=AS_CLIENT,
            trust_env=False,
            timeout=180,
        )

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
