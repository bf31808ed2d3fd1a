"""An engine that the product does not have joins the library and both applications.

``tests/support/echo_engine`` is what a contributor would write: three modules and one line of the
table of engines.
"""

import asyncio
import inspect
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray
import ray.data
import yaml
from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.cli.main import app
from modelsat.errors import ZooError
from modelsat.zoo.zoo_file import load_zoo
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from profiling.packing import needs
from profiling.pipeline import answer_questions
from profiling.runner import Answers, make_job
from serve_app.candidates.clients import CandidateClients
from serve_app.candidates.dispatch import Dispatcher
from serve_app.candidates.health import CandidateHealth
from serve_app.config import FallbackOptions
from serve_app.contracts.answers import Deadline
from serve_app.registry.changes import parse_entry, put_candidate
from serve_app.registry.describe import describe_state
from tests.support import echo_engine
from tests.support.serve_app.zoos import RULES, TASKS_HASH, remote_entry, state, stored

ECHO = {"name": "parrot", "engine": "echo", "context_window": 64}


@pytest.fixture(autouse=True)
def _echo(monkeypatch):
    echo_engine.install(monkeypatch)


@pytest.fixture
def write_zoo(tmp_path):
    def write(*entries):
        path = tmp_path / "zoo.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "candidates": list(entries)}))
        return path

    return write


def test_it_is_read_from_a_zoo_file_and_shown(write_zoo):
    shown = CliRunner().invoke(app, ["zoo", "validate", str(write_zoo(ECHO)), "--json"])
    assert shown.exit_code == 0, shown.output
    [row] = json.loads(shown.output)["candidates"]
    assert (row["candidate"], row["engine"], row["source"]) == ("parrot", "echo", "in process")


def test_mistakes_in_its_entry_are_refused(write_zoo):
    with pytest.raises(ZooError, match=r"candidates\.0\.times: .*greater than or equal to 1"):
        load_zoo(write_zoo({**ECHO, "times": 0}))
    with pytest.raises(ZooError, match="duplicate name"):
        load_zoo(write_zoo(ECHO, remote_entry("parrot")))


def test_its_hash_follows_its_own_settings(write_zoo):
    def hash_of(**changes):
        return load_zoo(write_zoo({**ECHO, **changes})).get("parrot").content_hash()

    assert hash_of(context_window=8) == hash_of() != hash_of(times=2)


class InProcessDataset:
    """A Ray dataset of one block, whose stages run here when they are added."""

    def __init__(self, table):
        self.table = table

    def select_columns(self, names):
        return InProcessDataset(self.table.select(names))

    def repartition(self, **_options):
        return self

    def map_batches(self, stage, *, fn_args=(), fn_constructor_kwargs=None, **_options):
        call = stage(**fn_constructor_kwargs) if inspect.isclass(stage) else stage
        result = call(self.table, *fn_args)
        return InProcessDataset(asyncio.run(result) if inspect.isawaitable(result) else result)

    def iter_batches(self, **_options):
        yield self.table


@pytest.fixture
def in_process(monkeypatch):
    """Profiling without Ray: each candidate's pipeline runs to its end in this process."""

    def read_parquet(paths, *, schema, **_options):
        [path] = paths
        return InProcessDataset(pq.read_table(path, columns=schema.names))

    def run_candidates(works, settled, plan, config, progress):
        for work in works:
            job = make_job(work, settled[work.candidate.name], plan, config, groups="")
            [table] = answer_questions(job)
            yield Answers(work, table)

    monkeypatch.setattr(ray.data, "read_parquet", read_parquet)
    monkeypatch.setattr("profiling.runner.run_candidates", run_candidates)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)


def profile(tmp_path: Path, zoo: Path) -> ProfileConfig:
    questions = [
        {"question_id": "q0", "benchmark": "b", "task": "t", "prompt": "Say yes", "answer": "yes"},
        {"question_id": "q1", "benchmark": "b", "task": "t", "prompt": "Say no", "answer": "yes"},
    ]
    write_table(QUESTIONS, questions, tmp_path / "questions.parquet")
    return ProfileConfig(
        zoo=zoo, questions=(tmp_path / "questions.parquet",), output_dir=tmp_path / "out"
    )


def test_it_is_profiled_and_kept(tmp_path, write_zoo, in_process):
    config = profile(tmp_path, write_zoo(ECHO))
    report = profile_zoo(config)
    assert report["failures"] == []
    [row] = report["candidates"]
    assert (row["candidate"], row["num_correct"], row["num_incorrect"]) == ("parrot", 1, 1)
    outcomes = read_table(OUTCOMES, tmp_path / "out" / "outcomes.parquet").to_pylist()
    assert [(r["output"], r["correct"]) for r in outcomes] == [("yes", 1.0), ("no", 0.0)]
    assert profile_zoo(config)["candidates"][0]["status"] == "reused"
    write_zoo({**ECHO, "times": 2})
    assert profile_zoo(config)["candidates"][0]["status"] == "profiled"


def test_a_cluster_reserves_the_resources_that_it_asks_for(write_zoo):
    parrot = load_zoo(write_zoo(ECHO)).get("parrot")
    assert needs(parrot, 4) == {"CPU": 4 * 0.125 + 1.0}


def test_it_answers_requests(write_zoo):
    zoo = load_zoo(write_zoo(ECHO, remote_entry("far")))
    body = {"model": "parrot", "messages": [{"role": "user", "content": "Say yes"}]}

    async def ask():
        clients = CandidateClients(max_connections=1, connect_timeout_s=1)
        clients.follow(zoo)
        clients.count({"far": 0})
        try:
            health = CandidateHealth(FallbackOptions())
            dispatched = await Dispatcher(clients, health, FallbackOptions()).send(
                ["parrot", "far"], "chat", body, stream=False, deadline=Deadline(10)
            )
            return dispatched.candidate, [part async for part in dispatched.answer.parts]
        finally:
            await clients.close()

    candidate, [document] = asyncio.run(ask())
    answered = json.loads(document)
    assert (candidate, answered["model"]) == ("parrot", "parrot")
    assert answered["choices"][0]["message"]["content"] == "yes"


def test_it_joins_a_served_zoo_and_comes_back_from_disk(tmp_path):
    served = state(remote_entry("far"))
    entry = parse_entry({**ECHO, "times": 2})
    changed = put_candidate(served, entry, None, tasks_hashes=[TASKS_HASH], rules=RULES)
    store = stored(tmp_path, changed)
    assert store.read(changed.version) == changed
    described = describe_state(changed, store.record(changed.version), {}, {})["candidates"][1]
    assert (described["name"], described["engine"]) == ("parrot", "echo")
    assert (described["source"], described["application"]) == ("in process", None)


def test_its_entry_may_change_while_it_serves_but_not_its_engine():
    served = state(remote_entry("far"), ECHO)

    def put(entry):
        return put_candidate(
            served, parse_entry(entry), None, tasks_hashes=[TASKS_HASH], rules=RULES
        )

    assert put({**ECHO, "times": 3}).zoo.get("parrot").times == 3
    with pytest.raises(ZooError, match="'parrot' runs with another engine"):
        put(remote_entry("parrot"))
