import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.scoring.batching import Batcher


class Work:
    """Doubles numbers, one batch at a time, each when the test releases it."""

    def __init__(self):
        self.batches, self.lanes = [], []
        self.gate = asyncio.Event()
        self.error = None

    async def __call__(self, items, lane):
        self.lanes.append(lane)
        self.batches.append(list(items))
        await self.gate.wait()
        if self.error:
            raise self.error
        return [2 * item for item in items]


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


def run(scenario, **options):
    async def main():
        work = Work()
        return await scenario(work, Batcher(work, **{"max_batch_size": 3, **options}))

    return asyncio.run(main())


def test_items_that_arrive_during_a_batch_form_the_next_batches():
    async def scenario(work, batcher):
        first = asyncio.create_task(batcher(1))
        await until(lambda: work.batches)
        later = [asyncio.create_task(batcher(item)) for item in (2, 3, 4, 5)]
        await asyncio.sleep(0)
        work.gate.set()
        return work.batches, await asyncio.gather(first, *later)

    assert run(scenario) == ([[1], [2, 3, 4], [5]], [2, 4, 6, 8, 10])


def test_a_lone_item_does_not_wait():
    async def scenario(work, batcher):
        work.gate.set()
        return await batcher(1), await batcher(2), work.batches

    assert run(scenario) == (2, 4, [[1], [2]])


def test_with_a_waiting_time_a_full_batch_does_not_wait():
    async def scenario(work, batcher):
        work.gate.set()
        # If the test waited for it, it would take an hour.
        await asyncio.gather(*(batcher(item) for item in (1, 2, 3)))
        return work.batches

    assert run(scenario, wait_timeout_s=3600) == [[1, 2, 3]]


def test_with_a_waiting_time_an_incomplete_batch_starts_when_it_ends():
    async def scenario(work, batcher):
        work.gate.set()
        return await asyncio.gather(batcher(1), batcher(2)), work.batches

    assert run(scenario, wait_timeout_s=0.01) == ([2, 4], [[1, 2]])


def test_an_error_fails_only_its_own_batch():
    async def scenario(work, batcher):
        work.gate.set()
        work.error = ValueError("no")
        outcomes = await asyncio.gather(batcher(1), batcher(2), return_exceptions=True)
        work.error = None
        return [type(outcome) for outcome in outcomes], await batcher(3)

    assert run(scenario) == ([ValueError, ValueError], 6)


def test_an_item_cancelled_before_its_batch_is_left_out():
    async def scenario(work, batcher):
        first = asyncio.create_task(batcher(1))
        await until(lambda: work.batches)
        gone, stays = asyncio.create_task(batcher(2)), asyncio.create_task(batcher(3))
        await asyncio.sleep(0)
        gone.cancel()
        work.gate.set()
        answers = await asyncio.gather(first, stays)
        with pytest.raises(asyncio.CancelledError):
            await gone
        return answers, work.batches

    assert run(scenario) == ([2, 6], [[1], [3]])


def test_an_item_cancelled_during_its_batch_does_not_affect_it():
    async def scenario(work, batcher):
        gone, stays = asyncio.create_task(batcher(1)), asyncio.create_task(batcher(2))
        await until(lambda: work.batches)
        gone.cancel()
        work.gate.set()
        return await stays, await batcher(3)

    assert run(scenario) == (4, 6)


def test_the_item_that_waited_longest_takes_compatible_items_with_it():
    async def scenario(work, batcher):
        work.gate.set()
        answers = await asyncio.gather(*(batcher(item) for item in (1, 2, 3, 5, 7, 4)))
        return answers, work.batches

    def both_odd_or_even(one, other):
        return one % 2 == other % 2

    answers, batches = run(scenario, goes_with=both_odd_or_even)
    assert answers == [2, 4, 6, 10, 14, 8]
    assert batches == [[1, 3, 5], [2, 4], [7]]


def test_a_single_item_has_all_lanes_and_later_items_are_spread_over_them():
    async def scenario(work, batcher):
        first = asyncio.create_task(batcher(1))
        await until(lambda: work.batches)
        later = [asyncio.create_task(batcher(item)) for item in (2, 3, 4)]
        await asyncio.sleep(0)
        held_back = list(work.batches)
        work.gate.set()
        return held_back, await asyncio.gather(first, *later), work.batches, work.lanes

    held_back, answers, batches, lanes = run(scenario, num_lanes=2)
    assert held_back == [[1]]
    assert answers == [2, 4, 6, 8]
    assert batches == [[1], [2, 3], [4]]
    assert lanes == [None, 0, 1]


def test_a_free_lane_takes_waiting_items_while_another_works():
    async def scenario(work, batcher):
        together = [asyncio.create_task(batcher(item)) for item in (1, 2)]
        await until(lambda: len(work.batches) == 2)
        later = [asyncio.create_task(batcher(item)) for item in (3, 4, 5, 6, 7)]
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(*together, *later)
        return work.batches, work.lanes

    batches, lanes = run(scenario, num_lanes=2)
    assert batches[:2] == [[1], [2]]
    assert sorted(item for batch in batches[2:] for item in batch) == [3, 4, 5, 6, 7]
    assert max(map(len, batches)) <= 3
    assert set(lanes) == {0, 1}


@settings(max_examples=60)
@given(
    turns=st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=6),
    num_lanes=st.integers(1, 3),
    leaving=st.sets(st.integers(0, 20)),
)
def test_waiting_items_are_answered_and_a_lane_runs_one_batch_at_a_time(turns, num_lanes, leaving):
    busy: set[int] = set()

    async def work(items, lane):
        taken = set(range(num_lanes)) if lane is None else {lane}
        assert not busy & taken
        assert 1 <= len(items) <= 3
        busy.update(taken)
        await asyncio.sleep(0)
        busy.difference_update(taken)
        return [2 * item for item in items]

    async def main():
        batcher = Batcher(work, 3, num_lanes=num_lanes)
        asked = []
        for turn in turns:
            for item in turn:
                asked.append((item, asyncio.create_task(batcher(item))))
            await asyncio.sleep(0)
            for number, (_, task) in enumerate(asked):
                if number in leaving:
                    task.cancel()
        answers = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
        for number, ((item, _), answer) in enumerate(zip(asked, answers, strict=True)):
            assert answer == 2 * item or (number in leaving and answer is not None)

    asyncio.run(asyncio.wait_for(main(), timeout=20))
