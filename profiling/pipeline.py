"""The Ray Data pipeline of one candidate: read, answer, grade.

:func:`answer_questions` runs as a Ray task of its own and streams graded answers back. Only the
replicas write to disk: each batch as a whole, to the candidate's checkpoint.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.grading.graders import grade_answer, stored_grade
from profiling.checkpoint import ENGINE_REQUEST, GRADED, MARGIN
from profiling.engines import engine_of
from profiling.job import LIGHT_STAGE, QUESTION_COLUMNS, CandidateJob

SOURCE = "profiling"  # the outcomes' source column
_MAX_REASON_CHARS = 300  # of a failed row; some engines quote the whole prompt


def answer_questions(job: CandidateJob) -> Iterator[pa.Table]:
    """Profile one candidate; runs inside its own Ray task.

    Yields:
        Graded answers, tables :data:`GRADED`, in any order, as batches finish.

    Raises:
        Exception: any error that stops the pipeline; Ray passes it to the driver.
    """
    _quiet_ray_data(job)
    dataset = build_pipeline(job)
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        if batch.num_rows:
            yield pa.Table.from_pylist(batch.to_pylist(), schema=GRADED.arrow)


def build_pipeline(job: CandidateJob) -> Any:
    """Return the candidate's dataset of graded answers, not yet executed."""
    import ray.data

    schema = pa.schema([f for f in QUESTIONS.fields if f.name in QUESTION_COLUMNS])
    questions = ray.data.read_parquet(
        list(job.questions),
        schema=schema,
        partitioning=None,  # a folder named a=b is not a column
        **LIGHT_STAGE,
    ).select_columns(QUESTION_COLUMNS)
    if len(job.settled):
        questions = questions.map_batches(
            drop_settled,
            fn_args=(job.settled,),
            batch_size=None,
            batch_format="pyarrow",
            **LIGHT_STAGE,
        )
    # One block per batch: otherwise a whole file would be one piece of work for one replica.
    batches = questions.repartition(target_num_rows_per_block=job.batch_size)
    finish = partial(grade_row, candidate=job.candidate.name)
    return engine_of(job.candidate).answer(batches, job, finish)


def drop_settled(questions: pa.Table, settled: pa.ChunkedArray) -> pa.Table:
    """Return the questions that still need an answer."""
    return questions.filter(pc.invert(pc.is_in(questions["question_id"], value_set=settled)))


def grade_row(row: dict[str, Any], candidate: str) -> dict[str, Any]:
    """Return the outcomes row of one answered row.

    An answer that names no result scores 0 and says so in ``failure``: ``unparsable``, or
    ``truncated`` if it was cut off. A row without an answer has no ``correct``, and its
    ``failure`` is ``failed: `` and the reason.
    """
    outcome: dict[str, Any] = {
        "question_id": row["question_id"],
        "candidate": candidate,
        "source": SOURCE,
        ENGINE_REQUEST: row["engine_request"],
    }
    if row["error"]:
        return {**outcome, "failure": f"failed: {one_line(row['error'])}"}
    grade = grade_answer(row, row["output"], row["finish_reason"])
    return {
        **outcome,
        **stored_grade(row, grade),
        "prompt_tokens": row["prompt_tokens"],
        "completion_tokens": row["completion_tokens"],
        "output": row["output"],
        "finish_reason": row["finish_reason"],
        MARGIN: row.get(MARGIN),
    }


def one_line(reason: str) -> str:
    """Return a reason without line breaks, cut to a readable length."""
    line = " ".join(reason.split())
    return line if len(line) <= _MAX_REASON_CHARS else line[: _MAX_REASON_CHARS - 3] + "..."


def _quiet_ray_data(job: CandidateJob) -> None:
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Start with every replica up: otherwise the first one ready would take all batches.
    context.wait_for_min_actors_s = job.start_timeout_s
    # A model that does not load fails the second time too.
    context.max_consecutive_actor_init_deaths = 0
