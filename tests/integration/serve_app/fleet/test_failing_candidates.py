"""Candidates that are down, die, hang, break off or refuse, behind a real endpoint."""

import asyncio
import json
import time

import aiohttp
import httpx
import pytest
from openai import OpenAI

from tests.support.serve_app.administered import CLIENT_KEY
from tests.support.serve_app.exported_metrics import exported
from tests.support.serve_app.fleet import NAMES, NARROW, NUM_PLACES
from tests.support.serve_app.reliability import (
    QUESTION,
    SHORT_WAITS,
    Endpoint,
    chat_body,
    until,
)
from tests.support.serve_app.reliability_load import closed_load, steady_load

pytestmark = [
    pytest.mark.ray,
    pytest.mark.alone,
    pytest.mark.timeout(600),
]

COOLDOWN_S = SHORT_WAITS["fallback"]["cooldown_s"]
NUM_STREAMS = 50


def num_fallbacks(name: str) -> float:
    found = [v for n, labels, v in exported() if "fallbacks_total" in n and name in labels.values()]
    return sum(found)


def events_of(content: bytes) -> list[dict]:
    """The JSON of every event but [DONE]."""
    events = content.decode().split("\n\n")
    assert events.pop() == "", "the last event is not complete"
    return [json.loads(e.removeprefix("data: ")) for e in events if e != "data: [DONE]"]


def error_of(answer: httpx.Response) -> dict:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_a_candidate_that_is_down_at_the_start_is_made_good_by_the_next(unsettled: Endpoint):
    favourite, second, *_ = unsettled.order()
    unsettled.fleet.kill(favourite)
    unsettled.settle(but=[favourite])
    before = num_fallbacks(favourite)
    answers = [unsettled.ask(f"{QUESTION} {number}") for number in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-modelsat-selected-model"] for answer in answers} == {second}
    assert {answer.json()["model"] for answer in answers} == {second}
    num_more = sum(int(answer.headers["x-modelsat-attempts"]) - 1 for answer in answers)
    assert 3 <= num_more < 30  # in cool-down after three failures, then probed
    until(lambda: num_fallbacks(favourite) - before, lambda counted: counted >= num_more)
    assert num_fallbacks(favourite) - before == num_more


def test_the_official_client_gets_every_answer(endpoint: Endpoint):
    with OpenAI(base_url=endpoint.config.url, api_key=CLIENT_KEY, max_retries=0) as client:
        for number in range(40):
            answer = client.chat.completions.with_raw_response.create(
                **chat_body(f"What is {number} times 3?", max_tokens=4)
            )
            completion = answer.parse()
            assert completion.model == answer.headers["x-modelsat-selected-model"]
            assert completion.choices[0].message.content.startswith(f"{completion.model}-0")
        for number in range(20):
            stream = client.chat.completions.create(
                **chat_body(f"What is {number} times 5?", max_tokens=4), stream=True
            )
            chunks = list(stream)
            assert {c.model for c in chunks} == {
                stream.response.headers["x-modelsat-selected-model"]
            }
            assert chunks[-1].choices[0].finish_reason == "length"
    raw = endpoint.ask(stream=True)
    assert raw.text.endswith("data: [DONE]\n\n")
    assert len(events_of(raw.content)) > 2


def test_a_candidate_dies_during_traffic_and_comes_back(endpoint: Endpoint):
    favourite = endpoint.order()[0]
    with steady_load(endpoint, 20) as load:
        load.wait_for(10)
        killed_s = time.monotonic()
        endpoint.fleet.kill(favourite)
        load.wait_for(90)
        replies = load.replies[:100]
        endpoint.fleet.restore()
        until(
            lambda: load.replies[-1].headers.get("x-modelsat-selected-model"),
            lambda selected: selected == favourite,
        )
    num_good = sum(reply.is_good for reply in replies)
    assert num_good >= 95
    later = [reply for reply in replies if reply.started_s > killed_s + COOLDOWN_S]
    assert later
    assert all(reply.is_good for reply in later)
    assert all(reply.is_good for reply in load.replies[100:])


@pytest.mark.parametrize("how", ["killed", "closed", "stalled"])
def test_a_stream_that_breaks_ends_with_an_error_and_no_other_model(endpoint: Endpoint, how: str):
    favourite = endpoint.order()[0]
    upstream = endpoint.fleet[favourite]
    if how == "killed":
        upstream.behave(num_tokens=400, tokens_per_s=20)
    else:
        fault = {"closed": "close", "stalled": "stall"}[how]
        upstream.behave(num_tokens=40, fault=fault, after_chunks=5)
    content, is_broken = b"", False
    body = chat_body(QUESTION, stream=True)
    with httpx.stream(
        "POST", endpoint.chat_url, json=body, headers=endpoint.headers, trust_env=False, timeout=30
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["x-modelsat-selected-model"] == favourite
        for part in answer.iter_raw():
            content += part
            if how == "killed" and not is_broken and content.count(b"data:") >= 5:
                endpoint.fleet.kill(favourite)
                is_broken = True
    *chunks, last = events_of(content)
    assert b"[DONE]" not in content
    assert last["error"]["code"] == ("timeout" if how == "stalled" else "model_failed")
    assert len(chunks) >= 5
    assert {chunk["model"] for chunk in chunks} == {favourite}
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert {word.split("-")[0] for word in text.split()} == {favourite}


def test_a_candidate_that_hangs_costs_its_time_limit_and_no_more(endpoint: Endpoint):
    favourite, second, *_ = endpoint.order()
    endpoint.fleet[favourite].behave(fault="silence")
    answer = endpoint.ask()
    assert answer.headers["x-modelsat-selected-model"] == second
    assert answer.headers["x-modelsat-attempts"] == "2"
    # Given up here means given up there: the connection does not stay open.
    until(lambda: endpoint.fleet[favourite].num_cancelled, lambda cancelled: cancelled >= 1)


def test_the_deadline_of_a_request_holds_when_all_hang(endpoint: Endpoint):
    for name in NAMES:
        endpoint.fleet[name].behave(fault="silence")
    cancelled = {name: endpoint.fleet[name].num_cancelled for name in NAMES}
    answer = endpoint.ask(headers={"x-request-timeout-seconds": "3"})
    assert answer.status_code == 504
    assert error_of(answer)["type"] == "timeout"
    num_attempts = int(answer.headers["x-modelsat-attempts"])
    assert num_attempts == 2  # 2 s of the first, then what was left
    until(
        lambda: sum(endpoint.fleet[name].num_cancelled - cancelled[name] for name in NAMES),
        lambda more: more == num_attempts,
    )


def test_all_candidates_fail_and_come_back(endpoint: Endpoint):
    for name in NAMES:
        endpoint.fleet[name].behave(status=503)
    for number in range(12):  # the first ones try three each, the later ones nobody
        answer = endpoint.ask(f"{QUESTION} {number}")
        assert answer.status_code == 503
        assert error_of(answer)["code"] == "no_healthy_candidate"
        assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-modelsat-attempts"] == "0"
    endpoint.fleet.restore()
    until(lambda: endpoint.ask().status_code, lambda status: status == 200)
    assert [endpoint.ask().status_code for _ in range(3)] == [200] * 3


REFUSALS = {400, 401, 422}
STATUSES = [400, 401, 408, 422, 429, 500, 503]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_retried_elsewhere_and_what_is_not(endpoint: Endpoint, stream: bool):
    for status in [*STATUSES, "context_length"]:
        endpoint.settle()  # 429 puts it in cool-down
        favourite, second, *_ = endpoint.order()
        behaviour = {"fault": status} if status == "context_length" else {"statuses": (status,)}
        endpoint.fleet[favourite].behave(**behaviour)
        received = {name: endpoint.fleet.num_received(name) for name in NAMES}
        marker = {"x-modelsat-selected-model": NAMES[-1], "x-modelsat-attempts": "7"}
        answer = endpoint.ask(stream=stream, headers=marker)
        asked = [n for n in NAMES if endpoint.fleet.num_received(n) > received[n]]
        attempts = int(answer.headers["x-modelsat-attempts"])
        selected = answer.headers["x-modelsat-selected-model"]
        if status == "context_length" or status in REFUSALS:
            expected = 400 if status == "context_length" else status
            assert (answer.status_code, attempts, asked) == (expected, 1, [favourite]), status
            error_of(answer)
        else:
            assert (answer.status_code, attempts, selected) == (200, 2, second), status
            assert set(asked) == {favourite, second}
            assert second in answer.text
            assert favourite not in answer.text


def test_no_more_candidates_are_asked_than_allowed(endpoint: Endpoint):
    for name in NAMES:
        endpoint.fleet[name].behave(status=500)
    received = sum(endpoint.fleet.num_received(name) for name in NAMES)
    answer = endpoint.ask()
    assert (answer.status_code, answer.headers["x-modelsat-attempts"]) == (503, "3")
    assert sum(endpoint.fleet.num_received(name) for name in NAMES) - received == 3


def test_a_candidate_that_cannot_take_the_prompt_is_no_fallback(endpoint: Endpoint):
    favourite = endpoint.order()[0]
    others = [name for name in endpoint.order()[1:] if name != NARROW]
    assert favourite != NARROW
    endpoint.fleet[favourite].behave(status=500)
    received = endpoint.fleet.num_received(NARROW)
    answer = endpoint.ask(f"{QUESTION} {'long ' * 200}")  # a token per byte: beyond 512
    assert answer.status_code == 200
    assert answer.headers["x-modelsat-selected-model"] == others[0]
    assert endpoint.fleet.num_received(NARROW) == received


def test_streams_whose_clients_leave_are_closed_upstream(endpoint: Endpoint):
    for name in NAMES:
        endpoint.fleet[name].behave(num_tokens=4000, tokens_per_s=10)
    cancelled = {name: endpoint.fleet[name].num_cancelled for name in NAMES}

    async def leave_after_three_chunks(session: aiohttp.ClientSession, number: int) -> None:
        body = chat_body(f"{QUESTION} {number}", stream=True)
        answer = await session.post(endpoint.chat_url, json=body)
        assert answer.status == 200
        seen = b""
        while seen.count(b"data:") < 3:
            seen += await answer.content.readany()
        await all_began.wait()
        answer.close()

    all_began: asyncio.Barrier

    async def ask_all() -> None:
        nonlocal all_began
        all_began = asyncio.Barrier(NUM_STREAMS)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, headers=endpoint.headers) as session,
            asyncio.timeout(60),
        ):
            await asyncio.gather(
                *(leave_after_three_chunks(session, number) for number in range(NUM_STREAMS))
            )

    asyncio.run(ask_all())
    until(
        lambda: sum(endpoint.fleet[name].num_cancelled - cancelled[name] for name in NAMES),
        lambda more: more == NUM_STREAMS,
    )

    # Every place is free again: as many requests at once as there are places find one.
    for name in NAMES:
        endpoint.fleet[name].behave(latency_s=0.5)
    replies = closed_load(endpoint, NUM_PLACES, num_requests=NUM_PLACES)
    assert [reply.status for reply in replies] == [200] * NUM_PLACES
