"""Dynamic batching: a batch forms while the previous one is processed."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Processes a batch in a lane, numbered from 0; lane None: a single item, with all lanes.
Work = Callable[[Sequence[Item], int | None], Awaitable[Sequence[Result]]]


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]
    is_due: bool


class Batcher(Generic[Item, Result]):
    """Passes waiting items to a function as one batch, as soon as a lane is free.

    A single item is processed at once and uses all lanes; items that arrive meanwhile are spread
    over the lanes afterwards. ``serve.batch`` does not wait for the previous batch: with a wait of
    0, 32 items 4 ms apart become 32 batches of one although a batch takes 50 ms; with any other
    wait, a single item is delayed.
    """

    def __init__(
        self,
        work: Work[Item, Result],
        max_batch_size: int,
        wait_timeout_s: float = 0,
        goes_with: Callable[[Item, Item], bool] | None = None,
        num_lanes: int = 1,
    ) -> None:
        """Create a batcher.

        Args:
            work: returns one result per item, in order; its error is raised for every caller.
            max_batch_size: most items in a batch.
            wait_timeout_s: how long an incomplete batch waits for more.
            goes_with: whether two items may share a batch; None: any two may. The item that has
                waited longest decides which others join it.
            num_lanes: batches that are processed at the same time.
        """
        self._work = work
        self._max_batch_size = max_batch_size
        self._wait_timeout_s = wait_timeout_s
        self._goes_with = goes_with
        self._num_lanes = num_lanes
        self._free = list(range(num_lanes))
        self._waiting: list[_Waiting[Item, Result]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        """Return the result for an item; if cancelled in the queue, it is not processed."""
        loop = asyncio.get_running_loop()
        is_due = self._wait_timeout_s == 0
        waiting = _Waiting[Item, Result](item, loop.create_future(), is_due)
        self._waiting.append(waiting)
        if not is_due:
            loop.call_later(self._wait_timeout_s, self._fall_due, waiting)
        # Not now: items that arrive in the same iteration of the loop form one batch.
        loop.call_soon(self._start_batches)
        return await waiting.answer

    def _fall_due(self, waiting: _Waiting[Item, Result]) -> None:
        waiting.is_due = True
        self._start_batches()

    def _start_batches(self) -> None:
        self._waiting = [waiting for waiting in self._waiting if not waiting.answer.done()]
        while self._free and self._is_due():
            is_alone = len(self._waiting) == 1 and len(self._free) == self._num_lanes
            taken = list(self._free) if is_alone else self._free[:1]
            size = min(self._max_batch_size, math.ceil(len(self._waiting) / len(self._free)))
            batch = self._next_batch(size)
            self._free = [lane for lane in self._free if lane not in taken]
            task = asyncio.get_running_loop().create_task(self._answer(batch, taken, is_alone))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_due(self) -> bool:
        if len(self._waiting) >= self._max_batch_size:
            return True
        return any(waiting.is_due for waiting in self._waiting)

    def _next_batch(self, size: int) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        others: list[_Waiting[Item, Result]] = []
        for waiting in self._waiting:
            fits = len(batch) < size and self._may_join(batch, waiting.item)
            (batch if fits else others).append(waiting)
        self._waiting = others
        return batch

    def _may_join(self, batch: list[_Waiting[Item, Result]], item: Item) -> bool:
        return not batch or self._goes_with is None or self._goes_with(batch[0].item, item)

    async def _answer(
        self, batch: list[_Waiting[Item, Result]], lanes: list[int], is_alone: bool
    ) -> None:
        items = [waiting.item for waiting in batch]
        try:
            results = await self._work(items, None if is_alone else lanes[0])
        except Exception as error:  # noqa: BLE001 - the callers raise it
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(result)
        finally:
            self._free = sorted([*self._free, *lanes])
            # Not now: a caller that has just got its result may call again at once.
            asyncio.get_running_loop().call_soon(self._start_batches)
