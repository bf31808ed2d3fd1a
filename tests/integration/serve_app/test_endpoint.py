"""The served endpoint, through OpenAI's own client and through raw HTTP."""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import psutil
import pytest
from openai import OpenAI
from ray import serve
from ray.serve.handle import DeploymentHandle

from modelsat.capability.cards import read_cards
from modelsat.routing.scoring import Scorer
from modelsat.zoo.zoo_file import load_zoo
from serve_app.builder import ROUTER_APPLICATION, SCORER_DEPLOYMENT
from serve_app.config import ServeConfig
from tests.support.serve_app.reliability import (
    Endpoint,
    Fleet,
    kill_replica,
    processes,
    until,
)
from tests.support.serve_app.reliability_load import steady_load, throughput
from tests.support.serve_app.served import ELASTIC, HINT, NAMES, SHARER, STEADY, Artifacts

pytestmark = [
    pytest.mark.ray,
    # Only this field makes a replica report its load often enough for a test.
]

DEFAULTED = "default_scorer_"  # how the reason of an answer without scores starts
QUESTIONS = [f"What is {number} plus {number * number}?" for number in range(8)]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def completions_url(served: ServeConfig) -> str:
    return f"{served.url}/chat/completions"


@pytest.fixture(scope="module")
def best_candidates(lite_artifacts: Artifacts) -> dict[str, tuple[str, float]]:
    """The candidate and score that the router itself gives each question, one at a time."""
    scorer = Scorer.load(lite_artifacts.router, dtype="float32")
    cards = read_cards(lite_artifacts.cards)
    names = load_zoo(lite_artifacts.zoo).names
    best = {}
    for question in QUESTIONS:
        (scores,) = scorer.score([question], [cards[name] for name in names])
        best[question] = (names[int(scores.argmax())], float(scores.max()))
    return best


def test_models_lists_auto_and_every_candidate(client: OpenAI):
    assert [model.id for model in client.models.list()] == ["auto", *NAMES]
    assert client.models.retrieve(STEADY).id == STEADY
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("missing")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_pins_its_candidate(client: OpenAI, name: str):
    answer = client.chat.completions.with_raw_response.create(
        model=name, messages=user("Hi"), max_tokens=3, extra_headers={"x-request-id": "chosen-id"}
    )
    completion = answer.parse()
    assert completion.model == name
    assert completion.usage.completion_tokens == 3
    assert answer.headers["x-modelsat-selected-model"] == name
    assert answer.headers["x-modelsat-reason"] == "pinned"
    assert answer.headers.get_list("x-request-id") == ["chosen-id"]


def test_candidates_that_share_an_engine_answer_each_with_its_own_settings(
    lite_artifacts: Artifacts, client: OpenAI
):
    names = {load_zoo(lite_artifacts.zoo).get(name).application_name for name in (STEADY, SHARER)}
    assert len(names & serve.status().applications.keys()) == len(names) == 1
    plain, hinted = (
        client.chat.completions.create(model=name, messages=user("Hi"), max_tokens=3).usage
        for name in (STEADY, SHARER)
    )
    assert hinted.prompt_tokens - plain.prompt_tokens == len(HINT)  # one token per byte


def test_auto_goes_where_the_router_scores_highest(client: OpenAI, best_candidates):
    for question, (name, score) in best_candidates.items():
        answer = client.chat.completions.with_raw_response.create(
            model="auto", messages=user(question), max_tokens=1
        )
        assert answer.parse().model == name
        assert answer.headers["x-modelsat-selected-model"] == name
        assert float(answer.headers["x-modelsat-confidence"]) == pytest.approx(score, abs=1e-4)
        assert answer.headers["x-modelsat-reason"] == "highest_score"


def test_auto_routes_on_the_last_user_message_alone(client: OpenAI, best_candidates):
    question, (name, score) = next(iter(best_candidates.items()))
    answer = client.chat.completions.with_raw_response.create(
        model="auto",
        messages=[
            {"role": "system", "content": "You are brief."},
            *user(QUESTIONS[3]),
            {"role": "assistant", "content": "No."},
            {"role": "user", "content": [{"type": "text", "text": question}]},
        ],
        max_tokens=1,
    )
    assert answer.headers["x-modelsat-selected-model"] == name
    assert float(answer.headers["x-modelsat-confidence"]) == pytest.approx(score, abs=1e-4)


def test_streamed_chunks_name_the_model_and_end_with_usage(client: OpenAI):
    stream = client.chat.completions.create(
        model="auto",
        messages=user(QUESTIONS[0]),
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    )
    chosen = stream.response.headers["x-modelsat-selected-model"]
    chunks = list(stream)
    assert {chunk.model for chunk in chunks} == {chosen}
    assert [chunk.choices == [] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].usage.completion_tokens == 5
    assert chunks[-2].choices[0].finish_reason == "length"


@pytest.mark.parametrize("include_usage", [False, True])
def test_stream_is_framed_as_server_sent_events(served: ServeConfig, include_usage: bool):
    body = {"model": STEADY, "messages": user("Hi"), "max_tokens": 3, "stream": True}
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    answer = httpx.post(completions_url(served), json=body, timeout=60)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, end = answer.text.split("\n\n")
    assert end == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    assert events.pop() == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert {chunk["model"] for chunk in chunks} == {STEADY}
    assert sum(bool(chunk.get("usage")) for chunk in chunks) == include_usage


def test_streamed_text_is_the_unstreamed_text(client: OpenAI):
    request = {
        "model": STEADY,
        "messages": user("Say something"),
        "max_tokens": 12,
        "temperature": 0,
    }
    whole = client.chat.completions.create(**request).choices[0].message.content
    parts = client.chat.completions.create(**request, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in parts) == whole


def test_fields_that_the_endpoint_does_not_know_reach_the_engine(client: OpenAI):
    completion = client.chat.completions.create(
        model=STEADY,
        messages=user("Hi"),
        max_tokens=2,
        extra_body={"return_token_ids": True, "ignore_eos": True},
    )
    assert len(completion.choices[0].model_extra["token_ids"]) == 2


SECRET = "zebra-umbrella"
REFUSED = [
    (b"{", 400, None),
    (b"\xff\xfe", 400, None),
    (b"[]", 400, None),
    ({"messages": user(SECRET)}, 400, "model"),
    ({"model": 3, "messages": user(SECRET)}, 400, "model"),
    ({"model": f"{SECRET}", "messages": user("Hi")}, 404, "model"),
    ({"model": "auto", "messages": []}, 400, "messages"),
    ({"model": "auto"}, 400, "messages"),
    ({"model": "auto", "messages": SECRET}, 400, "messages"),
    ({"model": STEADY, "messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content"),
    ({"model": STEADY, "messages": user("Hi"), "max_tokens": SECRET}, 400, "max_tokens"),
    ({"model": STEADY, "messages": user("Hi"), "temperature": -1.0}, 400, "temperature"),
    ({"model": STEADY, "messages": user("Hi"), "stream": SECRET}, 400, "stream"),
    ({"model": STEADY, "messages": user(SECRET * 400), "stream": True}, 400, "input_tokens"),
]


@pytest.mark.parametrize(("body", "status", "param"), REFUSED)
def test_refusals_are_openai_errors_that_repeat_no_input(
    served: ServeConfig, body: object, status: int, param: str | None
):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx.post(completions_url(served), content=content, timeout=60)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert SECRET not in answer.text


def test_unknown_model_raises_the_clients_own_error(client: OpenAI):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="missing", messages=user("Hi"))
    assert refused.value.code == "model_not_found"


def test_unknown_path_is_refused_and_health_answers(served: ServeConfig):
    answer = httpx.post(f"{served.url}/audio/speech", json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert httpx.get(served.url.replace("/v1", "/health")).json() == {"status": "ok"}


def test_one_request_id_may_be_used_by_requests_at_the_same_time(client: OpenAI):
    def ask(_index: int) -> int:
        completion = client.chat.completions.create(
            model=STEADY,
            messages=user("Hi"),
            max_tokens=20,
            extra_body={"ignore_eos": True},
            extra_headers={"x-request-id": "twice"},
        )
        return completion.usage.completion_tokens

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [20] * 4


def num_forward_passes() -> int:
    scorer = serve.get_deployment_handle(SCORER_DEPLOYMENT, app_name=ROUTER_APPLICATION)
    return scorer.num_forward_passes.remote().result(timeout_s=30)


def test_concurrent_requests_share_forward_passes(served: ServeConfig, client: OpenAI):
    async def ask_all() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(timeout=120, limits=limits) as http:
            return await asyncio.gather(
                *(
                    http.post(
                        completions_url(served),
                        json={"model": "auto", "messages": user(f"Q {i}"), "max_tokens": 1},
                    )
                    for i in range(16)
                )
            )

    before = num_forward_passes()
    answers = asyncio.run(ask_all())
    assert [answer.status_code for answer in answers] == [200] * 16
    assert 1 <= num_forward_passes() - before < 16


def test_a_pinned_request_is_not_scored(client: OpenAI):
    before = num_forward_passes()
    client.chat.completions.create(model=STEADY, messages=user("Hi"), max_tokens=1)
    assert num_forward_passes() == before


def num_ongoing_requests(handle: DeploymentHandle) -> int:
    return handle.num_ongoing_requests.remote().result(timeout_s=30)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_cancels_its_request(
    lite_artifacts: Artifacts, served: ServeConfig, stream: bool
):
    application = load_zoo(lite_artifacts.zoo).get(STEADY).application_name
    handle = serve.get_app_handle(application)
    body = {"model": STEADY, "messages": user("Count"), "ignore_eos": True}
    leaving = {**body, "max_tokens": 4000, "stream": stream}

    def leave(patience_s: float) -> None:
        timeout = httpx.Timeout(60, read=patience_s)
        with httpx.stream("POST", completions_url(served), json=leaving, timeout=timeout) as answer:
            next(answer.iter_lines())

    with ThreadPoolExecutor(1) as pool:
        earlier = pool.submit(
            httpx.post, completions_url(served), json={**body, "max_tokens": 3500}, timeout=300
        )
        wait_for(lambda: num_ongoing_requests(handle) == 1, timeout_s=60)
        if stream:
            leave(60)
        else:
            # HAProxy with splice() overlooks one in three that leave before the answer begins.
            for patience_s in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
                with pytest.raises(httpx.ReadTimeout):
                    leave(patience_s)
        wait_for(lambda: num_ongoing_requests(handle) == 1, timeout_s=60)
        # Shorter and begun before them: had one run to its end, this one would be over.
        assert not earlier.done()
    assert earlier.result().status_code == 200
    wait_for(lambda: num_ongoing_requests(handle) == 0, timeout_s=60)


def num_running_replicas(application: str) -> int:
    (deployment,) = serve.status().applications[application].deployments.values()
    return deployment.replica_states.get("RUNNING", 0)


def test_a_candidate_grows_under_load_and_shrinks_back(
    lite_artifacts: Artifacts, served: ServeConfig, client: OpenAI
):
    application = load_zoo(lite_artifacts.zoo).get(ELASTIC).application_name
    assert num_running_replicas(application) == 1
    grown = False

    def load(_index: int) -> None:
        while not grown:
            client.chat.completions.create(
                model=ELASTIC,
                messages=user("Count"),
                max_tokens=300,
                extra_body={"ignore_eos": True},
            )

    with ThreadPoolExecutor(8) as pool:
        requests = [pool.submit(load, index) for index in range(8)]
        try:
            wait_for(lambda: num_running_replicas(application) == 2, timeout_s=240)
        finally:
            grown = True
    for request in requests:
        request.result()
    wait_for(lambda: num_running_replicas(application) == 1, timeout_s=120)


def wait_for(holds: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, serve.status().applications
        time.sleep(0.2)


def test_the_official_client_gets_every_answer(client: OpenAI):
    for number in range(40):
        request = {"model": "auto", "messages": user(f"What is {number} times 3?"), "max_tokens": 2}
        assert client.chat.completions.create(**request).model in NAMES
        if number % 2:
            stream = client.chat.completions.create(**request, stream=True)
            assert {chunk.model for chunk in stream} <= set(NAMES)


def test_every_request_is_answered_or_refused_when_more_ask(
    served: ServeConfig, record_testsuite_property
):
    for concurrency, per_s in throughput(Endpoint(served, Fleet(())), 2).items():
        record_testsuite_property(f"requests_per_s_of_{concurrency}", per_s)


def test_no_request_fails_when_the_only_scorer_dies(served: ServeConfig):
    def reasons(number: int) -> set[str]:
        return {reply.headers.get("x-modelsat-reason", "") for reply in load.replies[-number:]}

    with steady_load(Endpoint(served, Fleet(())), 5) as load:
        load.wait_for(10)
        kill_replica(SCORER_DEPLOYMENT)
        until(lambda: reasons(1), lambda last: all(reason.startswith(DEFAULTED) for reason in last))
        until(lambda: reasons(10), lambda last: last == {"highest_score"}, timeout_s=180)
    assert {reply.status for reply in load.replies} == {200}


def test_a_candidate_answers_while_serves_own_controller_starts_anew(client: OpenAI):
    """Its replicas are found again, and meanwhile are not taken for dead."""

    def ask() -> str:
        answer = client.chat.completions.create(model=STEADY, messages=user("Hi"), max_tokens=1)
        return answer.model

    def controllers_after_a_request() -> list[psutil.Process]:
        assert ask() == STEADY
        return [process for process in processes("ray::ServeController") if process != killed]

    (killed,) = processes("ray::ServeController")
    killed.kill()
    until(controllers_after_a_request, bool)
    assert {ask() for _ in range(100)} == {STEADY}


def test_the_engine_of_a_killed_replica_ends_with_it_and_nobody_waits_for_the_next(
    lite_artifacts: Artifacts, client: OpenAI
):
    def ask(model: str, **fields: object) -> str:
        try:
            answer = client.chat.completions.create(
                model=model, messages=user("Hi"), max_tokens=1, extra_body=fields
            )
        except openai.InternalServerError as error:
            return error.message
        return answer.model

    application = load_zoo(lite_artifacts.zoo).get(STEADY).application_name
    (replica,) = processes(f"ServeReplica:{application}:")
    engine = [child for child in replica.children(recursive=True) if "EngineCore" in title(child)]
    assert engine
    replica.kill()
    for process in engine:
        process.wait(timeout=30)
    until(lambda: ask(STEADY), lambda answer: "is available" in answer)
    # The other one may be cooled down for the load that an earlier test put on it.
    until(
        lambda: ask("auto", models=[STEADY, ELASTIC]),
        lambda answer: answer in (STEADY, ELASTIC),
        timeout_s=60,
    )
    until(lambda: ask(STEADY), lambda answer: answer == STEADY, timeout_s=180)


def title(process: psutil.Process) -> str:
    return " ".join(process.cmdline())
