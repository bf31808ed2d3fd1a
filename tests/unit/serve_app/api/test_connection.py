import asyncio

import pytest

from serve_app.api.connection import ConcurrencyLimiter, check_length, limited, read_body
from serve_app.contracts.errors import ApiError


class Chunks:
    """A client that sends its body in pieces, then disconnects or sends nothing more."""

    def __init__(self, *pieces, leaves=False, hangs=False):
        self.messages = [
            {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
        ]
        if leaves:
            self.messages.append({"type": "http.disconnect"})
        elif not hangs:
            self.messages[-1]["more_body"] = False

    async def __call__(self):
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)


async def hold(limiter, until, log, name):
    try:
        async with limiter.slot():
            log.append(f"{name} in")
            await until.wait()
        log.append(f"{name} out")
    except ApiError as error:
        log.append(f"{name} {error.status} {error.code}")


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def test_slots_are_assigned_in_order_and_requests_beyond_the_queue_are_refused():
    async def scenario():
        limiter, log = ConcurrencyLimiter(2, 2, 60), []
        ends = [asyncio.Event() for _ in range(5)]
        tasks = []
        for i, end in enumerate(ends):
            tasks.append(asyncio.create_task(hold(limiter, end, log, str(i))))
            await settle()
        assert log == ["0 in", "1 in", "4 503 queue_full"]
        assert (limiter.in_flight, limiter.queued) == (2, 2)
        ends[1].set()
        await settle()
        assert log[3:] == ["1 out", "2 in"]
        assert (limiter.in_flight, limiter.queued) == (2, 1)
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        assert (limiter.in_flight, limiter.queued) == (0, 0)

    asyncio.run(scenario())


def test_a_wait_ends_in_time_and_leaves_the_queue():
    async def scenario():
        limiter, log, end = ConcurrencyLimiter(1, 1, 0.01), [], asyncio.Event()
        first = asyncio.create_task(hold(limiter, end, log, "0"))
        await settle()
        with pytest.raises(ApiError) as refused:
            async with limiter.slot():
                pass
        assert (refused.value.status, refused.value.code) == (503, "queue_timeout")
        assert refused.value.headers["Retry-After"] == "1"
        assert (limiter.in_flight, limiter.queued) == (1, 0)
        end.set()
        await first
        assert limiter.in_flight == 0

    asyncio.run(scenario())


def test_a_client_that_stops_waiting_leaves_the_queue():
    async def scenario():
        limiter, log, end = ConcurrencyLimiter(1, 3, 60), [], asyncio.Event()
        tasks = [asyncio.create_task(hold(limiter, end, log, str(i))) for i in range(3)]
        await settle()
        tasks[1].cancel()
        await settle()
        assert limiter.queued == 1
        end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert log == ["0 in", "0 out", "2 in", "2 out"]
        assert (limiter.in_flight, limiter.queued) == (0, 0)

    asyncio.run(scenario())


def test_a_slot_assigned_to_a_disconnecting_client_is_passed_on():
    async def scenario():
        limiter, log, end = ConcurrencyLimiter(1, 3, 60), [], asyncio.Event()
        tasks = [asyncio.create_task(hold(limiter, end, log, str(i))) for i in range(3)]
        await settle()
        end.set()
        await asyncio.sleep(0)  # the first passes its slot to the second, which has not run yet
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert log[-2:] == ["2 in", "2 out"]
        assert (limiter.in_flight, limiter.queued) == (0, 0)

    asyncio.run(scenario())


def test_an_error_frees_the_slot():
    async def scenario():
        limiter = ConcurrencyLimiter(1, 0, 60)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with limiter.slot():
                    raise ZeroDivisionError
        assert limiter.in_flight == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("length", "is_fine"),
    [(b"10", True), (b"11", False), (b"9" * 5000, False), (b"", True), (b"x", True), (b"-5", True)],
)
def test_a_stated_length_is_checked(length, is_fine):
    headers = {b"content-length": length}
    if is_fine:
        check_length(headers, 10)
    else:
        with pytest.raises(ApiError) as refused:
            check_length(headers, 10)
        assert refused.value.status == 413


def test_a_body_is_read_whole_up_to_its_limit():
    assert asyncio.run(read_body(Chunks(b"12345", b"", b"67890"), 10, 60)) == b"1234567890"
    assert asyncio.run(read_body(Chunks(b"1"), 10, 60)) == b"1"
    with pytest.raises(ApiError) as refused:
        asyncio.run(read_body(Chunks(b"12345", b"678901", hangs=True), 10, 60))
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")


def test_a_body_whose_client_disconnects_is_none():
    assert asyncio.run(read_body(Chunks(b"12345", leaves=True), 10, 60)) is None


def test_a_body_that_does_not_arrive_is_408():
    with pytest.raises(ApiError) as refused:
        asyncio.run(read_body(Chunks(b"1", hangs=True), 10, 0.01))
    assert refused.value.status == 408


def test_a_handler_that_reads_the_body_itself_is_limited_too():
    async def scenario():
        receive = limited(Chunks(b"12345", b"678901"), 10)
        await receive()
        await receive()

    with pytest.raises(ApiError) as refused:
        asyncio.run(scenario())
    assert refused.value.status == 413
