"""Logs, metrics, traces and the routing log of requests to a real endpoint."""

import json
from pathlib import Path

import httpx
import pytest
import ray

from modelsat.artifacts.schemas import ROUTING_LOG
from modelsat.artifacts.store import read_table
from tests.support.serve_app.collector import CALLER, TRACE, Collector, values
from tests.support.serve_app.exported_metrics import exported
from tests.support.serve_app.fleet import NAMES
from tests.support.serve_app.reliability import Endpoint, until

pytestmark = [pytest.mark.ray, pytest.mark.alone]

SECRET = "my password is hunter2"
NUM_UNKNOWN = 1000


def log_text() -> str:
    folder = Path(ray._private.worker._global_node.get_logs_dir_path()) / "serve"
    return "".join(path.read_text() for path in sorted(folder.rglob("replica_router_Ingress*.log")))


def request_lines(request_id: str) -> list[dict]:
    """Lines of the request log; Serve has others with its id."""
    written = log_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in written.splitlines()]
    return [line for line in lines if line.get("request_id") == request_id and "endpoint" in line]


def decisions(folder: Path, request_id: str) -> list[dict]:
    tables = [read_table(ROUTING_LOG, path) for path in folder.glob("*.parquet")]
    rows = [row for table in tables for row in table.to_pylist()]
    return [row for row in rows if row["request_id"] == request_id]


def test_a_request_is_found_in_log_routing_log_and_trace(endpoint: Endpoint, collector: Collector):
    headers = {"x-request-id": "observed-1", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    answer = endpoint.ask(SECRET, max_tokens=4, headers=headers)
    assert answer.status_code == 200, answer.text
    chosen = answer.headers["x-modelsat-selected-model"]

    (line,) = until(lambda: request_lines("observed-1"), bool)
    assert (line["requested"], line["candidate"], line["status"]) == ("auto", chosen, 200)
    assert line["trace_id"] == TRACE
    assert line["overhead_ms"] > 0
    assert line["completion_tokens"] == 4

    folder = endpoint.config.observability.routing_log.folder
    (row,) = until(lambda: decisions(folder, "observed-1"), bool)
    assert (row["candidate"], row["prompt"]) == (chosen, None)
    assert {one["candidate"] for one in row["scores"]} == set(NAMES)

    def spans() -> list:
        return [one for one in collector.spans if one.trace_id.hex() == TRACE]

    names = {one.name: one for one in until(spans, lambda found: len(found) >= 3)}
    assert set(names) == {"chat auto", "route", f"chat {chosen}"}
    assert values(names["chat auto"].attributes)["gen_ai.response.model"] == chosen
    _, received, _ = endpoint.fleet[chosen].requests[-1]
    traceparent = {name.lower(): value for name, value in received.items()}["traceparent"]
    assert traceparent == f"00-{TRACE}-{names['chat auto'].span_id.hex()}-01"


def test_no_text_of_a_prompt_is_in_any_log(endpoint: Endpoint):
    endpoint.ask(SECRET, headers={"x-request-id": "observed-2"})
    endpoint.ask(SECRET, model=SECRET, headers={"x-request-id": "observed-3"})
    assert until(lambda: request_lines("observed-3"), bool)
    assert "hunter2" not in log_text()


def test_unknown_models_add_no_series(endpoint: Endpoint):
    own = {"WorkerId", "SessionName"}

    def seen() -> tuple[set, float]:
        """Series with labels of requests, and how many requests for unknown models they count."""
        samples = exported()
        series = {
            (name, frozenset((key, value) for key, value in labels.items() if key not in own))
            for name, labels, _ in samples
            if labels.keys() & {"endpoint", "model", "code"}
        }
        unknown = {"model": "other", "status": "404"}.items()
        counts = [v for n, ls, v in samples if "requests_total" in n and unknown <= ls.items()]
        return series, sum(counts)

    num_earlier = seen()[1]
    assert endpoint.ask("hello", model="unknown").status_code == 404
    before, num_before = until(seen, lambda found: found[1] > num_earlier)
    url = endpoint.chat_url
    with httpx.Client(headers=endpoint.headers, trust_env=False, timeout=60) as client:
        for number in range(NUM_UNKNOWN):
            body = {"model": f"unknown-{number}", "messages": [{"role": "user", "content": "hi"}]}
            assert client.post(url, json=body).status_code == 404
    after, _ = until(seen, lambda found: found[1] >= num_before + NUM_UNKNOWN)
    # Series of replicas that have stopped may go meanwhile.
    assert after <= before
