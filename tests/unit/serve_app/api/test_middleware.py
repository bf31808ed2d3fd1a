"""The middleware over ASGI itself: disconnecting clients, deadlines, concurrency."""

import asyncio
import json
import re

import pytest

from serve_app.contracts.errors import ApiError

CHAT = {"model": "tiny-b", "messages": [{"role": "user", "content": "Hi"}]}
PATH = "/v1/chat/completions"
EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n")


class Client:
    """One request to an application, and every message of its response."""

    def __init__(self, api, body=CHAT, headers=(), path=PATH, method="POST", stays=False):
        self.stays = stays
        self.messages = []
        self.got_message = asyncio.Event()
        self.left = asyncio.Event()
        self._pending = [json.dumps(body).encode() if isinstance(body, dict) else body]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in dict(headers).items()],
            "query_string": b"",
        }
        self.task = asyncio.create_task(api(scope, self._receive, self._send))

    async def _receive(self):
        if self._pending:
            return {"type": "http.request", "body": self._pending.pop(), "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.messages.append(message)
        self.got_message.set()
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and not self.stays:
            self.left.set()  # as servers and test clients do
            for _ in range(3):  # a slow socket
                await asyncio.sleep(0)

    @property
    def status(self):
        return self.messages[0]["status"]

    @property
    def headers(self):
        return {k.decode(): v.decode() for k, v in self.messages[0]["headers"]}

    @property
    def content(self):
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def error(self):
        return json.loads(self.content)["error"]


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 20))


async def forever():
    await asyncio.Event().wait()


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


def ask(served, *, options=None, **request):
    """Send one request and wait for the whole response."""

    async def scenario():
        client = Client(served.build(**(options or {})), **request)
        await client.task
        return client

    return asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize("given", ["my-id", "x" * 128])
def test_a_request_id_is_echoed_where_no_proxy_does(served, given):
    answer = ask(served, options={"echo_request_id": True}, headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given == served.record.request_id


@pytest.mark.parametrize("given", [None, "", "x" * 129, "two words", "caf\u00e9", "a\tb"])
def test_a_missing_or_malformed_request_id_is_generated(served, given):
    headers = {} if given is None else {"x-request-id": given}
    answer = ask(served, options={"echo_request_id": True}, headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] == served.record.request_id


def test_behind_a_proxy_the_id_is_recorded_and_left_to_the_proxy(served):
    answer = ask(served, headers={"x-request-id": "my-id"})
    assert "x-request-id" not in answer.headers
    assert served.record.request_id == "my-id"


@pytest.mark.parametrize("moment", ["before the answer", "inside the stream"])
def test_a_disconnected_client_ends_the_work_and_is_recorded(served, moment):
    async def scenario():
        served.dispatcher.parts = EVENTS
        if moment == "before the answer":
            served.dispatcher.before_answer = forever
        else:
            served.dispatcher.before_each = forever
        api = served.build()
        client = Client(api, {**CHAT, "stream": True})
        if moment == "before the answer":
            await until(lambda: served.dispatcher.sent)
        else:
            await client.got_message.wait()
        assert api.state.limiter.in_flight == 1
        client.left.set()
        await client.task
        assert api.state.limiter.in_flight == 0

    run(scenario())
    assert (served.record.status, served.record.error_code) == (499, "client_left")
    if moment == "inside the stream":
        assert served.dispatcher.opened[0].num_closed == 1


def test_a_cancelled_request_is_recorded_and_closed_and_stays_cancelled(served):
    async def scenario():
        served.dispatcher.parts, served.dispatcher.before_each = EVENTS, forever
        api = served.build()
        client = Client(api, {**CHAT, "stream": True})
        await client.got_message.wait()
        client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.task
        assert api.state.limiter.in_flight == 0

    run(scenario())
    assert served.record.status == 499
    assert served.dispatcher.opened[0].num_closed == 1


def test_a_client_that_disconnects_inside_its_body_is_recorded(served):
    async def scenario():
        api = served.build()
        client = Client(api)
        client._pending.clear()
        client.left.set()
        await client.task
        assert client.messages == []

    run(scenario())
    assert served.record.status == 499


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_stays_to_the_end_is_not_recorded_as_disconnected(served, stream):
    served.dispatcher.parts = EVENTS
    for _ in range(20):
        ask(served, body={**CHAT, "stream": stream})
    assert {record.status for record in served.recorder.records} == {200}


def test_nothing_of_a_request_outlives_it_while_its_client_stays(served):
    async def scenario():
        client = Client(served.build(), stays=True)
        await client.task
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(scenario()) == set()


@pytest.mark.parametrize("limit", ["0.1", "0.2"])
def test_the_clients_time_limit_is_kept_with_a_margin_for_the_proxys_own(served, limit):
    served.dispatcher.before_answer = forever
    answer = ask(served, headers={"x-request-timeout-seconds": limit})
    assert answer.status == 504
    assert answer.error["type"] == "timeout"
    assert (served.record.status, served.record.error_code) == (504, "timeout")
    [sent] = served.dispatcher.sent
    assert sent[4].limit_s == pytest.approx(0.8 * float(limit))


def test_the_servers_time_limit_is_the_longest(served):
    served.config = {"request_timeout_s": 10}
    ask(served, headers={"x-request-timeout-seconds": "3000"})
    ask(served)
    assert [sent[4].limit_s for sent in served.dispatcher.sent] == [9.5, 9.5]


def test_a_stream_beyond_the_time_limit_ends_with_an_error_event(served):
    async def stall_after_the_first():
        if served.dispatcher.opened[0].left != list(EVENTS):
            await forever()

    served.dispatcher.parts = EVENTS
    served.dispatcher.before_each = stall_after_the_first
    headers = {"x-request-timeout-seconds": "0.1"}
    answer = ask(served, body={**CHAT, "stream": True}, headers=headers)
    first, last, rest = answer.content.decode().split("\n\n")
    assert (first, rest) == ("data: 1", "")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
    assert served.dispatcher.opened[0].num_closed == 1
    assert (served.record.status, served.record.error_code) == (200, "timeout")


@pytest.mark.parametrize(
    "limit", ["", "0", "-1", "0.09", "nan", "inf", "1_0", "0x10", "ten", "86401", "1e9", "5\u00e9"]
)
def test_a_malformed_time_limit_is_refused(served, limit):
    answer = ask(served, headers={"x-request-timeout-seconds": limit})
    assert (answer.status, answer.error["param"]) == (400, "x-request-timeout-seconds")
    assert served.dispatcher.sent == []


@pytest.mark.parametrize("limit", ["0.1", "1", "86400", "1e2", "2.5E+1"])
def test_a_time_limit_may_be_any_number_in_range(served, limit):
    assert ask(served, headers={"x-request-timeout-seconds": limit}).status == 200


def test_requests_beyond_slots_and_queue_are_refused_while_health_answers(served):
    served.config = {"ingress": {"max_in_flight": 2, "max_queued": 1}}

    async def scenario():
        served.dispatcher.parts = EVENTS
        go = asyncio.Event()
        served.dispatcher.before_each = go.wait
        api = served.build()
        clients = []
        for _ in range(6):
            clients.append(Client(api, {**CHAT, "stream": True}))
            await asyncio.sleep(0.001)
        await asyncio.gather(*(client.task for client in clients[3:]))
        for refused in clients[3:]:
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert refused.error["code"] == "queue_full"
        for path in ("/health", "/health/live", "/health/ready", "/v1/models"):
            other = Client(api, b"", path=path, method="GET")
            await other.task
            assert other.status == 200
        assert (api.state.limiter.in_flight, api.state.limiter.queued) == (2, 1)
        go.set()
        await asyncio.gather(*(client.task for client in clients))
        assert [client.status for client in clients[:3]] == [200] * 3
        assert api.state.limiter.in_flight == 0

    run(scenario())
    assert sorted(record.status for record in served.recorder.records) == [200] * 3 + [503] * 3


def test_the_time_limit_includes_the_wait_for_a_slot(served):
    served.config = {"ingress": {"max_in_flight": 1, "max_queued": 1}}

    async def scenario():
        served.dispatcher.before_answer = forever
        api = served.build()
        first = Client(api)
        await until(lambda: served.dispatcher.sent)
        second = Client(api, headers={"x-request-timeout-seconds": "0.1"})
        await second.task
        assert second.status == 504
        first.left.set()
        await first.task
        assert (api.state.limiter.in_flight, api.state.limiter.queued) == (0, 0)

    run(scenario())


@pytest.mark.parametrize("path", [PATH, "/v1/route", "/v1/models"])
def test_a_body_whose_stated_length_is_too_large_is_not_read(served, path):
    async def scenario():
        client = Client(served.build(), b"", {"content-length": str(8 * 2**20 + 1)}, path)
        await client.task
        assert client._pending == [b""]
        assert client.status == 413
        assert client.error["code"] == "body_too_large"

    run(scenario())


def test_a_body_that_turns_out_too_large_is_refused(served):
    served.config = {"ingress": {"max_body_bytes": 1024}}
    assert ask(served, body=b" " * 1025).status == 413
    assert ask(served, body=b" " * 1024).status == 400


def test_a_ten_megabyte_body_is_parsed_in_bounded_time_or_refused(served):
    served.config = {"ingress": {"max_body_bytes": 2**24}}
    deep = b'{"model": "tiny-b", "messages": ' + b"[" * 10_000_000
    wide = b'{"model": "tiny-b", "messages": [' + b"[]," * 3_500_000 + b"[]]}"
    for body in (deep, wide):
        assert ask(served, body=body).status == 400
    text = {**CHAT, "messages": [{"role": "user", "content": "word " * 2_000_000}]}
    assert ask(served, body=text).status == 200


def test_an_observer_sees_the_trace_of_the_caller(served):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    ask(served, headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert served.record.trace.trace_id == trace_id


def test_a_broken_connection_is_recorded_as_disconnected(served, caplog):
    async def broken():
        raise ConnectionError

    async def scenario():
        served.dispatcher.before_answer = forever
        client = Client(served.build())
        client.left.wait = broken
        await client.task

    run(scenario())
    assert served.record.status == 499
    assert "connection lost: ConnectionError" in caplog.text


def test_errors_of_other_paths_have_the_same_shape(served):
    def fail():
        raise ApiError(503, "busy", retry_after_s=7)

    served.is_ready = True
    api = served.build()
    api.add_api_route("/busy", fail)

    async def scenario():
        client = Client(api, b"", path="/busy", method="GET")
        await client.task
        assert (client.status, client.headers["retry-after"]) == (503, "7")
        assert client.error["message"] == "busy"

    run(scenario())
    assert served.recorder.records == []
