"""One replica's batches: asked, those that failed once more, and on disk before the next one.

Knows neither engines nor URLs: whoever answers rows brings a coroutine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from profiling.checkpoint import Checkpoint

Row = dict[str, Any]


class BatchKeeper:
    """Bounds the batches that one replica works on and keeps each as soon as it is answered.

    A batch's rows are in the checkpoint before the replica takes another batch, so a run killed
    at any point leaves at most ``num_batches`` batches per replica asked but not kept.

    Args:
        num_batches: batches worked on at once.
        finish: makes the row to keep of question_id, prompt, answer and n_choices with
            ``output`` (text), ``prompt_tokens``, ``completion_tokens``, ``engine_request``
            (position of the request in its replica, from 0; -1 for a failed row), ``error``
            (empty unless the row failed twice in a row), and ``margin`` where the likelihoods of
            options are compared (of the best over the second, nats).
        checkpoint: where finished rows are kept.
    """

    def __init__(
        self, num_batches: int, finish: Callable[[Row], Row], checkpoint: Checkpoint
    ) -> None:
        self._finish = finish
        self._checkpoint = checkpoint
        # Ray Data runs up to four batches of one block beside those of other blocks.
        self._places = asyncio.Semaphore(num_batches)

    async def keep(
        self,
        rows: Sequence[Row],
        answer: Callable[[Sequence[Row]], Awaitable[list[Row]]],
    ) -> list[Row]:
        """Have a batch answered and kept.

        Args:
            rows: questions, each with a ``question_id``.
            answer: gives the rows that ``finish`` takes, in the order of its own.

        Returns:
            Rows as ``finish`` makes them, in the order of the questions.
        """
        async with self._places:
            ids = [row["question_id"] for row in rows]
            key = await asyncio.to_thread(self._checkpoint.begin_batch, ids)
            answers = await answer(rows)
            failed = [i for i, row in enumerate(answers) if row["error"]]
            if failed:  # once more at once: what passes by itself needs no second run
                again = await answer([rows[i] for i in failed])
                for i, row in zip(failed, again, strict=True):
                    answers[i] = row
            kept = [self._finish(row) for row in answers]
            await asyncio.to_thread(self._checkpoint.end_batch, key, kept)
        return kept
