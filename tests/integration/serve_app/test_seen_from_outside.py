"""What logs, metrics, traces and the routing log tell of requests to a real endpoint."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import ray

from modelsat.artifacts.schemas import ROUTING_LOG
from modelsat.artifacts.store import read_table
from serve_app.config import ServeConfig
from serve_app.lifecycle import deploy, shutdown
from tests.support.serve_app.collector import CALLER, TRACE, Collector, values
from tests.support.serve_app.exported_metrics import exported
from tests.support.serve_app.served import Artifacts
from tests.support.serve_app.tiny_artifacts import remote_entry, write_card_table, write_zoo
from tests.support.upstream import Upstream, running_upstream

pytestmark = pytest.mark.ray

NAMES = ("remote-a", "remote-b")
SECRET = "my password is hunter2"
DEADLINE_S = 60
T = TypeVar("T")


@dataclass
class Endpoint:
    config: ServeConfig
    upstream: Upstream
    collector: Collector

    def ask(self, text: str, *, model: str = "auto", **headers: str) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 4}
        url = f"{self.config.url}/chat/completions"
        return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def endpoint(
    artifacts: Artifacts, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    root = tmp_path_factory.mktemp("observed")
    collector = Collector()
    with running_upstream() as upstream:
        entries = [remote_entry(name, upstream.url) for name in NAMES]
        own = Artifacts(
            zoo=write_zoo(root / "zoo.yaml", entries),
            cards=write_card_table(root / "cards.parquet", NAMES),
            router=artifacts.router,
        )
        observability = {
            "otlp_endpoint": collector.url,
            "routing_log": {"folder": str(root / "log"), "flush_interval_s": 1},
        }
        config = own.config(observability=observability)
        deploy(config, report=lambda _line: None)
        yield Endpoint(config, upstream, collector)
        shutdown()
    collector.close()


def until(look: Callable[[], T], is_enough: Callable[[T], bool]) -> T:
    """What is seen once it is enough, or when the time is over."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        seen = look()
        if is_enough(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def log_text() -> str:
    folder = Path(ray._private.worker._global_node.get_logs_dir_path()) / "serve"
    return "".join(path.read_text() for path in sorted(folder.rglob("replica_router_Ingress*.log")))


def request_lines(request_id: str) -> list[dict]:
    """Lines of the request log; Serve has others with its id."""
    written = log_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in written.splitlines()]
    return [line for line in lines if line.get("request_id") == request_id and "endpoint" in line]


def decisions(folder: Path) -> list[dict]:
    tables = [read_table(ROUTING_LOG, path) for path in folder.glob("*.parquet")]
    return [row for table in tables for row in table.to_pylist()]


def test_a_request_is_found_in_log_routing_log_and_trace(endpoint: Endpoint):
    headers = {"x-request-id": "observed-1", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    answer = endpoint.ask(SECRET, **headers)
    assert answer.status_code == 200, answer.text
    chosen = answer.headers["x-modelsat-selected-model"]

    (line,) = until(lambda: request_lines("observed-1"), bool)
    assert (line["requested"], line["candidate"], line["status"]) == ("auto", chosen, 200)
    assert line["trace_id"] == TRACE
    assert line["overhead_ms"] > 0
    assert line["completion_tokens"] == 4

    folder = endpoint.config.observability.routing_log.folder
    (row,) = until(lambda: decisions(folder), bool)
    assert (row["request_id"], row["candidate"], row["prompt"]) == ("observed-1", chosen, None)
    assert {one["candidate"] for one in row["scores"]} == set(NAMES)

    def spans() -> list:
        return [one for one in endpoint.collector.spans if one.trace_id.hex() == TRACE]

    names = {one.name: one for one in until(spans, lambda found: len(found) >= 3)}
    assert set(names) == {"chat auto", "route", f"chat {chosen}"}
    assert values(names["chat auto"].attributes)["gen_ai.response.model"] == chosen
    _, received, _ = endpoint.upstream.requests[-1]
    told = {name.lower(): value for name, value in received.items()}["traceparent"]
    assert told == f"00-{TRACE}-{names['chat auto'].span_id.hex()}-01"


def test_no_text_of_a_prompt_is_in_any_log(endpoint: Endpoint):
    endpoint.ask(SECRET, **{"x-request-id": "observed-2"})
    endpoint.ask(SECRET, model=SECRET, **{"x-request-id": "observed-3"})
    assert until(lambda: request_lines("observed-3"), bool)
    assert "hunter2" not in log_text()


def test_five_thousand_unknown_models_add_no_series(endpoint: Endpoint):
    assert endpoint.ask("hello", model="unknown").status_code == 404
    own = {"WorkerId", "SessionName"}

    def seen() -> tuple[set, float]:
        """Series with labels of requests, and how many requests for unknown models they count."""
        samples = exported()
        series = {
            (name, frozenset((key, value) for key, value in labels.items() if key not in own))
            for name, labels, _ in samples
            # Others, and gauges of replicas that have stopped, come and go in their own time.
            if labels.keys() & {"endpoint", "model", "code"}
            and name != "ray_modelsat_candidate_state"
        }
        unknown = {"model": "other", "status": "404"}.items()
        counts = [v for n, ls, v in samples if "requests_total" in n and unknown <= ls.items()]
        return series, sum(counts)

    before, num_before = until(seen, lambda found: found[1] > 0)
    url = f"{endpoint.config.url}/chat/completions"
    with httpx.Client(trust_env=False, timeout=60) as client:
        for number in range(5000):
            body = {"model": f"unknown-{number}", "messages": [{"role": "user", "content": "hi"}]}
            assert client.post(url, json=body).status_code == 404
    after, num_after = until(seen, lambda found: found[1] >= num_before + 5000)
    assert num_after >= num_before + 5000  # the last test's may have come late
    assert after == before
