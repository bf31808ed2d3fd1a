"""The recipe of docs/how-to/upgrade.md under traffic: a new configuration, no request fails."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from ray import serve

from serve_app.builder import INGRESS_DEPLOYMENT, ROUTER_APPLICATION, build_app
from tests.support.serve_app.reliability import Endpoint, replica_processes, until
from tests.support.serve_app.stage import Stage

pytestmark = [pytest.mark.ray, pytest.mark.alone]

PAUSE_S = 0.1


@contextmanager
def traffic(endpoint: Endpoint) -> Iterator[list[int]]:
    """Requests one after the other until the block ends; their statuses."""
    statuses: list[int] = []
    stopped = threading.Event()

    def ask() -> None:
        number = 0
        while not stopped.wait(PAUSE_S):
            number += 1
            statuses.append(endpoint.ask(f"What is {number} plus 1?", max_tokens=2).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def models(endpoint: Endpoint) -> set[str]:
    answer = httpx.get(
        f"{endpoint.config.url}/models", headers=endpoint.headers, trust_env=False, timeout=60
    )
    return {model["id"] for model in answer.json()["data"]} if answer.status_code == 200 else set()


def test_another_configuration_takes_over_without_a_failed_request(
    endpoint: Endpoint, stage: Stage, tmp_path: Path
):
    before = {process.pid for process in replica_processes(INGRESS_DEPLOYMENT)}
    values = endpoint.config.model_dump(mode="json")
    values["routing"]["profiles"]["auto-cheap"] = {"tolerance": 0.05}
    upgraded = tmp_path / "serve-v2.yaml"
    upgraded.write_text(yaml.safe_dump(values))
    with traffic(endpoint) as statuses:
        until(lambda: len(statuses), lambda count: count >= 20)
        # What `serve deploy` does with the import path and args of the manifest.
        application = build_app({"config": str(upgraded)})
        serve.run(application, name=ROUTER_APPLICATION, route_prefix="/")
        until(
            lambda: before & {p.pid for p in replica_processes(INGRESS_DEPLOYMENT)},
            lambda remaining: not remaining,
        )
        until(lambda: models(endpoint), lambda names: "auto-cheap" in names)
        count = len(statuses)
        until(lambda: len(statuses), lambda seen: seen >= count + 20)
    assert Counter(statuses) == {200: len(statuses)}
    assert endpoint.ask(model="auto-cheap").status_code == 200
    stage.clear()  # others expect the configuration as it was
