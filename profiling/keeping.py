"""One replica's batches: answered, failed rows tried once more, then written to disk.

Knows no engine: the caller passes the coroutine that answers rows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from profiling.checkpoint import Checkpoint
from profiling.job import Finish, Row


class BatchKeeper:
    """Bounds the batches that one replica works on, and writes each as soon as it is answered.

    A batch's rows are in the checkpoint before the replica takes another batch, so a run killed
    at any point repeats at most ``num_batches`` batches per replica.

    Args:
        num_batches: batches worked on at once.
        finish: grades a row. The row has the question's columns question_id, prompt, answer,
            n_choices, grader and grader_args; ``output`` (text) and ``finish_reason`` (as the
            OpenAI API names it); ``prompt_tokens`` and ``completion_tokens``;
            ``engine_request`` (position of the request in its replica, from 0; -1 for a failed
            row); ``error`` (empty unless the row failed twice); and ``margin`` if likelihoods of
            options are compared (lead of the best option over the second, nats).
        checkpoint: where finished rows are written.
    """

    def __init__(self, num_batches: int, finish: Finish, checkpoint: Checkpoint) -> None:
        self._finish = finish
        self._checkpoint = checkpoint
        # Ray Data runs up to four batches of one block beside those of other blocks.
        self._slots = asyncio.Semaphore(num_batches)

    async def keep(
        self,
        rows: Sequence[Row],
        answer: Callable[[Sequence[Row]], Awaitable[list[Row]]],
    ) -> list[Row]:
        """Answer a batch and write it.

        Args:
            rows: questions, each with a ``question_id``.
            answer: returns the rows that ``finish`` takes, in the order of the questions.

        Returns:
            Rows as ``finish`` makes them, in the order of the questions.
        """
        async with self._slots:
            ids = [row["question_id"] for row in rows]
            key = await asyncio.to_thread(self._checkpoint.begin_batch, ids)
            answers = await answer(rows)
            failed = [i for i, row in enumerate(answers) if row["error"]]
            if failed:  # once more now, so that a passing fault needs no second run
                again = await answer([rows[i] for i in failed])
                for i, row in zip(failed, again, strict=True):
                    answers[i] = row
            # Grading may run code or compare expressions for seconds.
            kept = await asyncio.to_thread(lambda: [self._finish(row) for row in answers])
            await asyncio.to_thread(self._checkpoint.end_batch, key, kept)
        return kept
