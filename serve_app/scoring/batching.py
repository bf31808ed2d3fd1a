"""Batches that form while the one before is worked on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class _Waiting(Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Hands what waits to a function, together, as soon as that is free.

    A lone item is handed over at once; items that come while a batch is worked on make up the
    next one. ``serve.batch`` does not: with a waiting time of 0 it closes a batch as soon as
    one item has come, also while another batch is worked on, so that 32 items 4 ms apart
    become 32 batches of one where a batch takes 50 ms; with any other, a lone item waits.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        max_batch_size: int,
        wait_timeout_s: float = 0,
        goes_with: Callable[[Item, Item], bool] | None = None,
    ) -> None:
        """Take the function.

        Args:
            work: gives one result for each item, in order; an error is every caller's.
            max_batch_size: most items of one batch.
            wait_timeout_s: how long an incomplete batch waits for more.
            goes_with: whether two items may share a batch; None: any may. The item that has
                waited longest takes those with it that may share its batch.
        """
        self._work = work
        self._max_batch_size = max_batch_size
        self._wait_timeout_s = wait_timeout_s
        self._goes_with = goes_with
        self._waiting: list[_Waiting[Item, Result]] = []
        self._is_full = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """The result for one item; a caller that leaves before its batch starts costs nothing."""
        waiting = _Waiting[Item, Result](item, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._waiting) >= self._max_batch_size:
            self._is_full.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work_until_nothing_waits())
        return await waiting.answer

    async def _work_until_nothing_waits(self) -> None:
        try:
            while batch := await self._next_batch():
                await self._answer(batch)
        finally:
            self._worker = None

    async def _next_batch(self) -> list[_Waiting[Item, Result]]:
        if self._wait_timeout_s > 0 and 0 < len(self._waiting) < self._max_batch_size:
            self._is_full.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_full.wait(), self._wait_timeout_s)
        self._waiting = [waiting for waiting in self._waiting if not waiting.answer.done()]
        batch: list[_Waiting[Item, Result]] = []
        others: list[_Waiting[Item, Result]] = []
        for waiting in self._waiting:
            fits = len(batch) < self._max_batch_size and self._may_join(batch, waiting.item)
            (batch if fits else others).append(waiting)
        self._waiting = others
        return batch

    def _may_join(self, batch: list[_Waiting[Item, Result]], item: Item) -> bool:
        return not batch or self._goes_with is None or self._goes_with(batch[0].item, item)

    async def _answer(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = await self._work([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - the callers raise it
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(result)
