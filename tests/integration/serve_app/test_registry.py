"""The zoo changed by command while requests come in: two ingress and two scorer replicas."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from ray import serve

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import read_cards, write_cards
from modelsat.errors import ArtifactError, ZooError
from serve_app.lifecycle import deploy, shutdown
from tests.support.serve_app.administered import Endpoint, load, write_keys
from tests.support.serve_app.reliability import until
from tests.support.serve_app.served import STEADY, Artifacts
from tests.support.serve_app.stage import Stage
from tests.support.serve_app.tiny_artifacts import (
    TASKS,
    candidate_entry,
    remote_entry,
    write_card_table,
    write_llama,
    write_zoo,
)
from tests.support.upstream import running_upstream

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
]

REMOTE = ("remote-a", "remote-b", "remote-c")
NAMES = (STEADY, *REMOTE)
FRESH, SLEEPER = "tiny-fresh", "tiny-sleeper"


def entries_of(described: dict) -> list[dict]:
    """Candidates as they are configured; their replicas may come and go."""
    return [{**entry, "running_replicas": None} for entry in described["candidates"]]


@pytest.fixture(scope="module")
def endpoint(
    lite_artifacts: Artifacts, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Endpoint:
    """One local and two remote candidates; one more remote one in the zoo file for later."""
    root = tmp_path_factory.mktemp("registry")
    return stage.get("registry", lambda: _administered(root, lite_artifacts))


@contextmanager
def _administered(root: Path, lite_artifacts: Artifacts) -> Iterator[Endpoint]:
    with running_upstream("a") as a, running_upstream("b") as b, running_upstream("c") as c:
        upstreams = dict(zip(REMOTE, (a, b, c), strict=True))
        local = yaml.safe_load(lite_artifacts.zoo.read_text())["candidates"]
        by_name = {entry["name"]: entry for entry in local}
        by_name |= {name: remote_entry(name, up.url) for name, up in upstreams.items()}
        first = write_zoo(root / "first.yaml", [by_name[n] for n in (STEADY, *REMOTE[:2])])
        zoo = write_zoo(root / "zoo.yaml", [by_name[n] for n in NAMES])
        cards = write_card_table(root / "cards.parquet", NAMES)
        config = lite_artifacts.config(
            zoo=first,
            cards=cards,
            registry={"folder": root / "registry"},
            security={"keys": write_keys(root / "keys.yaml")},
            ingress={"num_replicas": 2, "num_cpus": 0.5},
            scorer={"num_replicas": 2, "num_cpus": 0.5, "num_threads": 1},
        )
        deploy(config)
        try:
            yield Endpoint(config, Artifacts(zoo, cards, lite_artifacts.router), upstreams)
        finally:
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


def test_weights_on_disk_become_routed_traffic_beside_an_engine_that_keeps_its_processes(
    endpoint: Endpoint, tmp_path: Path
):
    steady = engine_processes("candidate-tiny-steady")
    assert len(steady) >= 1
    profile = write_aptitude_test(tmp_path)
    with load(endpoint, models=["remote-*"]) as requests:
        output = endpoint.command("add", FRESH, "--zoo", str(tmp_path / "zoo.yaml"), *profile)
        assert "all 4 replicas agree" in output
        requests.wait_for(10)
        answer = endpoint.ask("auto", models=[FRESH])
        pinned = endpoint.ask(FRESH)
        assert engine_processes("candidate-tiny-fresh")
        endpoint.command("remove", FRESH)
        requests.wait_for(10)
    assert (answer.status_code, answer.json()["model"]) == (200, FRESH)
    assert answer.headers["x-modelsat-reason"] == "highest_score_allowed"
    assert float(answer.headers["x-modelsat-confidence"]) > 0
    assert (pinned.status_code, pinned.json()["model"]) == (200, FRESH)
    assert engine_processes("candidate-tiny-steady") == steady
    assert endpoint.ask(FRESH).json()["error"]["code"] == "model_not_found"


def write_aptitude_test(folder: Path) -> tuple[str, str]:
    """A zoo of one new candidate and its test; the options that let it sit the test."""
    write_zoo(folder / "zoo.yaml", [candidate_entry(FRESH, write_llama(folder / FRESH, seed=3))])
    rows = [
        {
            "question_id": question,
            "benchmark": TASKS.benchmark,
            "task": question.split("/")[0],
            "prompt": f"What is {number} plus 4?",
            "answer": str(number + 4),
            "n_choices": None,
        }
        for number, question in enumerate(TASKS.question_ids)
    ]
    write_table(QUESTIONS, rows, folder / "questions.parquet")
    TASKS.save(folder / "tasks.json")
    config = {
        "zoo": "replaced",
        "questions": [str(folder / "questions.parquet")],
        "tasks": str(folder / "tasks.json"),
        "output_dir": str(folder / "profiled"),
        "max_new_tokens": 4,
        "max_truncated_fraction": 1.0,
    }
    (folder / "profile.yaml").write_text(yaml.safe_dump(config))
    return "--profile", str(folder / "profile.yaml")


def test_a_candidate_sleeps_and_wakes_while_others_answer(endpoint: Endpoint, tmp_path: Path):
    sleepy = {"min_replicas": 0, "max_replicas": 1, "target_ongoing_requests": 2}
    fast = {"downscale_delay_s": 2, "metrics_interval_s": 0.5, "look_back_period_s": 1}
    entry = candidate_entry(
        SLEEPER, write_llama(tmp_path / SLEEPER, seed=3), autoscaling_config={**sleepy, **fast}
    )
    write_zoo(tmp_path / "zoo.yaml", [entry])
    cards = write_card_table(
        tmp_path / "cards.parquet", [*(f"other-{i}" for i in range(9)), SLEEPER]
    )
    zoo = ("--zoo", str(tmp_path / "zoo.yaml"), "--cards", str(cards))
    with load(endpoint, models=["remote-*"]) as requests:
        endpoint.command("add", SLEEPER, *zoo)
        until(lambda: running_replicas(endpoint), lambda number: number == 0, timeout_s=120)

        # Nobody is kept waiting where one that is awake is nearly as good; it wakes all the same.
        scores = endpoint.scores("Which number comes after twelve?")
        worse = [name for name in scores if scores[name] < scores[SLEEPER] and name in REMOTE]
        assert worse
        near = endpoint.ask("auto", models=[SLEEPER, *worse])
        assert near.json()["model"] in worse
        assert near.headers["x-modelsat-reason"] == "warm_near_best"
        until(starting_replicas, lambda number: number == 1, timeout_s=60)

        # Who names it waits for it.
        assert running_replicas(endpoint) == 0
        pinned = endpoint.ask(SLEEPER)
        assert (pinned.status_code, pinned.json()["model"]) == (200, SLEEPER)
        until(lambda: running_replicas(endpoint), lambda number: number == 0, timeout_s=120)
        endpoint.command("remove", SLEEPER)
        requests.wait_for(10)


def starting_replicas() -> int:
    """Replicas of the sleeper that Serve is starting."""
    [application] = [
        found for name, found in serve.status().applications.items() if name.endswith(SLEEPER)
    ]
    states = [deployment.replica_states for deployment in application.deployments.values()]
    return sum(found.get("STARTING", 0) for found in states)


def running_replicas(endpoint: Endpoint) -> int | None:
    by_name = {entry["name"]: entry for entry in endpoint.described()["candidates"]}
    return by_name[SLEEPER]["running_replicas"]
