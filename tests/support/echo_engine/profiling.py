"""What would be ``profiling/engines/echo.py``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelsat.aptitude.prompts import Prompts
from profiling.checkpoint import GRADED
from profiling.engines.protocol import ProfilingEngine
from profiling.job import CandidateJob, Finish, Row
from profiling.keeping import BatchKeeper
from tests.support.echo_engine.candidate import EchoCandidate

if TYPE_CHECKING:
    from ray.data import Dataset


class Engine(ProfilingEngine):
    """Answers in the stage's own process."""

    def __init__(self, candidate: EchoCandidate) -> None:
        self._candidate = candidate

    def check(self, prompts: Prompts) -> None:
        """Accept any prompts."""

    def reads(self, row: Mapping[str, Any]) -> bool:
        """It repeats the text of any question."""
        return True

    def replica_resources(self) -> dict[str, float]:
        """Return next to nothing."""
        return {"CPU": 0.125}

    def deadline_advice(self, num_replicas: int, has_answered: bool) -> str:
        """Return what to do about a deadline that passed."""
        return "raise candidate_deadline_s"

    def answer(self, questions: "Dataset", job: CandidateJob, finish: Finish) -> "Dataset":
        """Return the dataset of answers."""
        keeper = BatchKeeper(job.num_batches, finish, job.checkpoint)
        return questions.map_batches(
            EchoReplica,
            fn_constructor_kwargs={"candidate": self._candidate, "keeper": keeper},
            batch_size=None,
            batch_format="pyarrow",
        )


class EchoReplica:
    """One replica of the stage."""

    def __init__(self, candidate: EchoCandidate, keeper: BatchKeeper) -> None:
        self._candidate, self._keeper = candidate, keeper
        self._num_answered = 0

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the graded rows of a batch."""
        kept = await self._keeper.keep(batch.to_pylist(), self._answer)
        return pa.Table.from_pylist(kept, schema=GRADED.arrow)

    async def _answer(self, rows: Sequence[Row]) -> list[Row]:
        return [self._answer_one(row) for row in rows]

    def _answer_one(self, row: Row) -> Row:
        output = self._candidate.say(row["prompt"])
        number, self._num_answered = self._num_answered, self._num_answered + 1
        return {
            **row,
            "output": output,
            "finish_reason": "stop",
            "prompt_tokens": len(row["prompt"].split()),
            "completion_tokens": len(output.split()),
            "engine_request": number,
            "error": "",
        }
