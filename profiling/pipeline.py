"""The Ray Data graph of one candidate: read, render, generate, grade.

:func:`answer_questions` runs as a Ray task of its own and streams graded answers back; it
writes nothing, so however it ends, nothing is half-written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from modelsat.aptitude.grading import Grade, grade_answer
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.capability.cards import UNPARSABLE
from modelsat.zoo import VllmCandidate
from profiling.engine import LIGHT_STAGE, generate_answers
from profiling.rendering import render_prompts

SOURCE = "profiling"  # the outcomes' source column
ENGINE_REQUEST = "engine_request"
_QUESTION_COLUMNS = ("question_id", "prompt", "answer", "n_choices")
_MAX_REASON_CHARS = 300  # of a failed row; some engines quote the whole prompt

# An outcomes row, and the request's position in the engine that answered it.
GRADED = pa.schema([*OUTCOMES.fields, pa.field(ENGINE_REQUEST, pa.int64())])


@dataclass(frozen=True)
class CandidateJob:
    """All that one candidate's pipeline needs; plain values that cross processes.

    Attributes:
        candidate: who answers.
        questions: absolute paths of the questions tables.
        replicas: engines that share the questions.
        batch_size: questions per batch.
        max_new_tokens: most tokens of one answer.
        start_timeout_s: seconds within which all engines must have started.
    """

    candidate: VllmCandidate
    questions: tuple[str, ...]
    replicas: int
    batch_size: int
    max_new_tokens: int
    start_timeout_s: float


def answer_questions(job: CandidateJob) -> Iterator[pa.Table]:
    """Profile one candidate; runs inside its own Ray task.

    Yields:
        Graded answers with the schema :data:`GRADED`, in any order, as batches finish.

    Raises:
        Exception: whatever stops the pipeline; Ray hands it to the driver.
    """
    _quiet_ray_data(job)
    dataset = build_pipeline(job)
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        if batch.num_rows:
            yield pa.Table.from_pylist(batch.to_pylist(), schema=GRADED)


def build_pipeline(job: CandidateJob) -> Any:
    """The candidate's dataset: graded answers, not yet executed."""
    import ray.data

    name = job.candidate.name
    schema = pa.schema([f for f in QUESTIONS.fields if f.name in _QUESTION_COLUMNS])
    questions = ray.data.read_parquet(
        list(job.questions),
        schema=schema,
        partitioning=None,  # a folder called a=b is no column
        **LIGHT_STAGE,
    ).select_columns(list(_QUESTION_COLUMNS))
    # One block per batch, or a whole file would be one piece of work for one replica.
    batches = questions.repartition(target_num_rows_per_block=job.batch_size)
    prompts = batches.map_batches(
        render_prompts,
        fn_args=(job.candidate,),
        batch_size=None,
        batch_format="pyarrow",
        **LIGHT_STAGE,
    )
    answers = generate_answers(
        prompts,
        job.candidate,
        replicas=job.replicas,
        batch_size=job.batch_size,
        max_new_tokens=job.max_new_tokens,
    )
    return answers.map(grade_row, fn_args=(name,), **LIGHT_STAGE)


def grade_row(row: dict[str, Any], candidate: str) -> dict[str, Any]:
    """One answered row becomes an outcomes row.

    An unparsable answer is wrong and says so in ``failure``; a row without an answer has no
    correctness, and its ``failure`` is ``failed: `` and the reason.
    """
    outcome: dict[str, Any] = {
        "question_id": row["question_id"],
        "candidate": candidate,
        "source": SOURCE,
        ENGINE_REQUEST: row["engine_request"],
    }
    if row["error"]:
        return {**outcome, "failure": f"failed: {one_line(row['error'])}"}
    grade = grade_answer(row["output"], row["answer"], row["n_choices"] or None, row["prompt"])
    return {
        **outcome,
        "correct": 1.0 if grade is Grade.CORRECT else 0.0,
        "prompt_tokens": row["prompt_tokens"],
        "completion_tokens": row["completion_tokens"],
        "output": row["output"],
        "failure": UNPARSABLE if grade is Grade.UNPARSABLE else None,
    }


def one_line(reason: str) -> str:
    """A reason without line breaks, cut to a readable length."""
    line = " ".join(reason.split())
    return line if len(line) <= _MAX_REASON_CHARS else line[: _MAX_REASON_CHARS - 3] + "..."


def _quiet_ray_data(job: CandidateJob) -> None:
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Start only with every replica up: the first one ready would take all batches in flight.
    context.wait_for_min_actors_s = job.start_timeout_s
    # A model that does not load will not load on a second try either.
    context.max_consecutive_actor_init_deaths = 0
