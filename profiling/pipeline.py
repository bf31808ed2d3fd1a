"""The Ray Data graph of one candidate: read, render, generate, grade.

:func:`answer_questions` runs as a Ray task of its own and streams graded answers back. Only its
engines write: each batch, whole or not at all, to the candidate's checkpoint.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.grading import Grade, grade_answer
from modelsat.aptitude.prompts import Prompts
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.capability.cards import UNPARSABLE
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.checkpoint import ENGINE_REQUEST, GRADED, MARGIN, Checkpoint
from profiling.config import RemoteConfig
from profiling.engine import LIGHT_STAGE, generate_answers
from profiling.remote import ask_remotely
from profiling.rendering import render_prompts

SOURCE = "profiling"  # the outcomes' source column
_QUESTION_COLUMNS = ("question_id", "task", "prompt", "answer", "n_choices")
_MAX_REASON_CHARS = 300  # of a failed row; some engines quote the whole prompt


@dataclass(frozen=True)
class CandidateJob:
    """All that one candidate's pipeline needs; plain values that cross processes.

    Attributes:
        candidate: who answers.
        questions: absolute paths of the questions tables.
        settled: ids of the questions that need not be asked.
        checkpoint: where finished batches are kept.
        replicas: least and most engines that share the questions.
        batch_size: questions per batch.
        num_batches: batches that one engine works on at once.
        max_new_tokens: most tokens of one answer.
        prompts: how questions are put.
        start_timeout_s: seconds within which all engines must have started.
        limits: how hard its URL may be asked, if it is behind one.
        groups: how the names of its engines' placement groups begin.
    """

    candidate: Candidate
    questions: tuple[str, ...]
    settled: pa.ChunkedArray
    checkpoint: Checkpoint
    replicas: tuple[int, int]
    batch_size: int
    num_batches: int
    max_new_tokens: int
    prompts: Prompts
    start_timeout_s: float
    limits: RemoteConfig
    groups: str


def answer_questions(job: CandidateJob) -> Iterator[pa.Table]:
    """Profile one candidate; runs inside its own Ray task.

    Yields:
        Graded answers, tables :data:`GRADED`, in any order, as batches finish.

    Raises:
        Exception: whatever stops the pipeline; Ray hands it to the driver.
    """
    _quiet_ray_data(job)
    dataset = build_pipeline(job)
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        if batch.num_rows:
            yield pa.Table.from_pylist(batch.to_pylist(), schema=GRADED.arrow)


def build_pipeline(job: CandidateJob) -> Any:
    """The candidate's dataset: graded answers, not yet executed."""
    import ray.data

    schema = pa.schema([f for f in QUESTIONS.fields if f.name in _QUESTION_COLUMNS])
    questions = ray.data.read_parquet(
        list(job.questions),
        schema=schema,
        partitioning=None,  # a folder called a=b is no column
        **LIGHT_STAGE,
    ).select_columns(list(_QUESTION_COLUMNS))
    if len(job.settled):
        questions = questions.map_batches(
            drop_settled,
            fn_args=(job.settled,),
            batch_size=None,
            batch_format="pyarrow",
            **LIGHT_STAGE,
        )
    # One block per batch, or a whole file would be one piece of work for one replica.
    batches = questions.repartition(target_num_rows_per_block=job.batch_size)
    means: dict[str, Any] = {
        "replicas": job.replicas,
        "batch_size": job.batch_size,
        "num_batches": job.num_batches,
        "max_new_tokens": job.max_new_tokens,
        "prompts": job.prompts,
        "finish": partial(grade_row, candidate=job.candidate.name),
        "checkpoint": job.checkpoint,
    }
    if isinstance(job.candidate, OpenAICandidate):
        return ask_remotely(batches, job.candidate, limits=job.limits, **means)
    assert isinstance(job.candidate, VllmCandidate)
    rendered = batches.map_batches(
        render_prompts,
        fn_args=(job.candidate, job.prompts),
        batch_size=None,
        batch_format="pyarrow",
        **LIGHT_STAGE,
    )
    return generate_answers(rendered, job.candidate, groups=job.groups, **means)


def drop_settled(questions: pa.Table, settled: pa.ChunkedArray) -> pa.Table:
    """Questions whose ids are not among those that need not be asked."""
    return questions.filter(pc.invert(pc.is_in(questions["question_id"], value_set=settled)))


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
        MARGIN: row.get(MARGIN),
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
