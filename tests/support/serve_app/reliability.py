"""A zoo of fake upstreams that die and come back, served for real."""

import random
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import ray

from serve_app.builder import ROUTER_APPLICATION
from serve_app.config import ServeConfig
from serve_app.lifecycle import deploy, shutdown
from tests.support.serve_app.served import free_port
from tests.support.serve_app.tiny_artifacts import remote_entry, write_card_table, write_zoo
from tests.support.upstream import Upstream, running_upstream

# Limits of seconds where the defaults are minutes, so that a test sees them pass.
SHORT_WAITS: dict[str, Any] = {
    "fallback": {
        "connect_timeout_s": 2,
        "attempt_timeout_s": 2,
        "answer_timeout_s": 2,
        "stream_idle_timeout_s": 2,
        "cooldown_s": 1,
        "max_cooldown_s": 1,
    },
    "scorer": {"dtype": "float32", "num_cpus": 0.5, "num_threads": 1},
}
QUESTION = "What is 12 plus 30?"
# Clear of the ports of Ray, of HAProxy and of outgoing connections, which would take the port of
# an upstream that is down.
_PORTS = range(29_000, 30_000)
CLIENT_TIMEOUT_S = 60
T = TypeVar("T")


class Fleet:
    """Fake upstreams by candidate, each with a port that it keeps while it is down."""

    def __init__(self, names: Sequence[str]) -> None:
        self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
        self._running: dict[str, tuple[AbstractContextManager[Upstream], Upstream]] = {}

    def __getitem__(self, name: str) -> Upstream:
        return self._running[name][1]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}/v1"

    def restore(self, *, but: Iterable[str] = ()) -> None:
        """Start all upstreams and reset their behaviour, except those in ``but``."""
        for name in set(self._ports) - set(but):
            if name in self._running:
                self[name].behave()
                continue
            manager = running_upstream(name, port=self._ports[name])
            self._running[name] = (manager, manager.__enter__())

    def kill(self, *names: str) -> None:
        """Close ports and connections, whatever they are busy with."""
        for name in names:
            if name in self._running:
                self._running.pop(name)[0].__exit__(None, None, None)

    def num_received(self, name: str) -> int:
        return sum(self[name].num_requests.values())


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint and the upstreams behind it."""

    config: ServeConfig
    fleet: Fleet
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def chat_url(self) -> str:
        return f"{self.config.url}/chat/completions"

    def ask(self, text: str = QUESTION, *, headers: Mapping[str, str] = {}, **fields: Any):
        """One answer in full, also to a request for a stream."""
        return httpx.post(
            self.chat_url,
            json=chat_body(text, **fields),
            headers={**self.headers, **headers},
            trust_env=False,
            timeout=CLIENT_TIMEOUT_S,
        )

    def explain(self, text: str = QUESTION) -> dict[str, Any]:
        """Return the answer of /v1/route as soon as it has scores."""

        def request() -> dict[str, Any]:
            body = {"messages": [{"role": "user", "content": text}]}
            answer = httpx.post(
                f"{self.config.url}/route",
                json=body,
                headers=self.headers,
                trust_env=False,
                timeout=CLIENT_TIMEOUT_S,
            )
            return answer.json() if answer.status_code == 200 else {"confidences": [None]}

        return until(request, lambda found: None not in found["confidences"])

    def scores(self, text: str = QUESTION) -> dict[str, float]:
        explanation = self.explain(text)
        return dict(zip(explanation["model_names"], explanation["confidences"], strict=True))

    def order(self, text: str = QUESTION) -> list[str]:
        """Candidates by score, the best first, including those in cool-down."""
        scores = self.scores(text)
        return sorted(scores, key=lambda name: -scores[name])

    def settle(self, *, but: Iterable[str] = ()) -> None:
        """Restore upstreams, except those in ``but``, and wait until the endpoint uses them."""
        self.fleet.restore(but=but)
        for name in set(self.config_names()) - set(but):
            until(lambda name=name: self.ask(model=name).status_code, lambda seen: seen == 200)

    def config_names(self) -> list[str]:
        return list(self.fleet._ports)


def chat_body(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}


@contextmanager
def serving(
    root: Path,
    router: Path,
    names: Sequence[str],
    *,
    entries: Mapping[str, Mapping[str, Any]] = {},
    headers: Mapping[str, str] = {},
    **changes: Any,
) -> Iterator[Endpoint]:
    """An endpoint over a zoo of fake upstreams that are not running yet.

    Args:
        root: empty folder.
        router: router directory.
        names: candidates.
        entries: more fields of some candidates' entries in the zoo file.
        headers: of every request.
        changes: fields of the configuration beside `SHORT_WAITS`.
    """
    fleet = Fleet(names)
    zoo = [remote_entry(name, fleet.url(name), **entries.get(name, {})) for name in names]
    config = ServeConfig(
        zoo=write_zoo(root / "zoo.yaml", zoo),
        cards=write_card_table(root / "cards.parquet", names),
        router=router,
        port=free_port(),
        registry={"folder": root / "registry"},
        **{**SHORT_WAITS, **changes},
    )
    deploy(config, report=lambda _line: None)
    try:
        yield Endpoint(config, fleet, headers)
    finally:
        shutdown()
        fleet.kill(*names)


def until(look: Callable[[], T], is_enough: Callable[[T], bool], *, timeout_s: float = 90) -> T:
    """What is seen once it is enough; fails when it never is."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        if is_enough(seen):
            return seen
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still {seen!r}"
        time.sleep(0.1)


def processes(title: str) -> list[psutil.Process]:
    """Processes of the Ray cluster of this test whose title or command has these words."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def replica_processes(deployment: str) -> list[psutil.Process]:
    return processes(f"ServeReplica:{ROUTER_APPLICATION}:{deployment}")


def kill_replica(deployment: str) -> None:
    """End one replica's actor at once, as `ray.kill` does."""
    prefix = f"SERVE_REPLICA::{ROUTER_APPLICATION}#{deployment}#"
    actors = ray.util.list_named_actors(all_namespaces=True)
    (name, *_) = [actor["name"] for actor in actors if actor["name"].startswith(prefix)]
    ray.kill(ray.get_actor(name, namespace="serve"))


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """A process that hangs for the length of a block."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def _free_ports(count: int) -> list[int]:
    ports = []
    for port in random.sample(_PORTS, len(_PORTS)):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
        if len(ports) >= count:
            return ports[:count]
    raise AssertionError("too few free ports")
