"""One candidate's part of a profiling run, as its Ray task and its engine receive it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from modelsat.aptitude.prompts import Prompts
from modelsat.zoo.candidate import Candidate
from profiling.checkpoint import Checkpoint
from profiling.config import RemoteConfig

Row = dict[str, Any]
Finish = Callable[[Row], Row]
"""Grades one answered row; see :class:`profiling.keeping.BatchKeeper`."""

# Columns that asking and grading a question need.
QUESTION_COLUMNS = [
    "question_id",
    "task",
    "prompt",
    "answer",
    "n_choices",
    "grader",
    "grader_args",
    "request",
    "images",
]
# CPU share that each stage around the engine reserves: reading and passing on questions mostly
# waits for the engine, and whole CPUs would leave none for it on a two-CPU cluster. One worker
# each, because every worker imports Ray Data once more.
LIGHT_STAGE: dict[str, Any] = {"num_cpus": 0.25, "concurrency": 1}


@dataclass(frozen=True)
class CandidateJob:
    """Everything that one candidate's pipeline needs; plain values that cross processes.

    Attributes:
        candidate: the candidate that answers.
        questions: absolute paths of the questions tables.
        settled: ids of the questions that need no answer, or that the candidate cannot read.
        checkpoint: where finished batches are written.
        replicas: least and most replicas that share the questions.
        batch_size: questions per batch.
        num_batches: batches that one replica works on at once.
        max_new_tokens: most tokens of one answer, by the name of the question's grader.
        prompts: how questions are put.
        start_timeout_s: time limit for the start of all replicas, seconds.
        limits: rate limits of a candidate that does not run on this cluster.
        folders: folders of the questions tables, for images.
        groups: prefix for the names of placement groups that the engine creates; the runner
            removes them when the job ends.
    """

    candidate: Candidate
    questions: tuple[str, ...]
    settled: pa.ChunkedArray
    checkpoint: Checkpoint
    replicas: tuple[int, int]
    batch_size: int
    num_batches: int
    max_new_tokens: dict[str, int]
    prompts: Prompts
    start_timeout_s: float
    limits: RemoteConfig
    folders: tuple[str, ...]
    groups: str
