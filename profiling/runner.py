"""Candidates side by side, each under a Ray task of its own with its own deadline.

Needs a Ray that is already up. Writes nothing.
"""

import re
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.config import ProfileConfig
from profiling.engine import resources_text
from profiling.packing import choose_next, needs
from profiling.pipeline import CandidateJob, answer_questions, one_line
from profiling.progress import Progress
from profiling.work import Plan, Work

_POLL_S = 1.0  # how often deadlines are looked at while nothing arrives
# The last "SomeError: reason" of a traceback is the one that says what went wrong.
_REASON = re.compile(r"^\s*(?:[\w.]*\.)?(\w*(?:Error|Exception|Exit)): (\S.*)$", re.MULTILINE)
_WRAPPERS = frozenset({"UserCodeException", "RayTaskError", "ActorDiedError"})


@dataclass(frozen=True)
class Answers:
    """All answers of one candidate.

    Attributes:
        work: what was to be done.
        table: graded answers, a table ``checkpoint.GRADED``.
        num_resumed: how many of them an earlier run had kept.
        start_s: seconds until the first answers came: scheduling, imports, loading, one batch.
        wall_s: seconds from start to end.
    """

    work: Work
    table: pa.Table
    num_resumed: int = 0
    start_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A candidate that could not be profiled, and why, in one line."""

    work: Work
    reason: str


@dataclass
class _Run:
    work: Work
    stream: Any
    groups: str  # how the names of its placement groups begin
    started_s: float
    settled: pa.Table
    needs: dict[str, float]
    has_room: bool  # as far as is known: there was enough when it started, or it has answered
    tables: list[pa.Table] = field(default_factory=list)
    num_rows: int = 0
    first_answer_s: float | None = None


def run_candidates(
    works: Sequence[Work],
    settled: Mapping[str, pa.Table],
    plan: Plan,
    config: ProfileConfig,
    progress: Progress,
) -> Generator[Answers | Failure, None, None]:
    """Profile candidates side by side, as many as have room.

    At most ``max_parallel_candidates`` that have room, and as many again that the cluster could not
    hold as it is: they wait for machines until their deadline.

    Args:
        works: candidates to profile.
        settled: rows by name of candidate that need not be asked again.
        plan: the whole run.
        config: its configuration.
        progress: told what happens.

    Yields:
        Each candidate's answers or failure, as they come; no candidate's end touches another's.
    """
    waiting = list(works)
    running: list[_Run] = []
    groups = f"profiling-{uuid.uuid4().hex}"  # of this run: others may share the cluster
    try:
        while waiting or running:
            while (chosen := _choose(waiting, running, config)) is not None:
                work = waiting.pop(chosen[0])
                kept = settled[work.candidate.name]
                run = _start(work, kept, plan, config, groups=groups, has_room=chosen[1])
                running.append(run)
                progress.say(work.candidate.name, _starting(run, config))
            for run in list(running):
                end = _advance(run, config, progress)
                if end is not None:
                    running.remove(run)
                    remove_groups(run.groups)
                    yield end
            if running:
                ray.wait([run.stream for run in running], timeout=_POLL_S)
    finally:
        for run in running:
            ray.cancel(run.stream, force=True)
        remove_groups(groups)


def remove_groups(prefix: str) -> None:
    """Remove the placement groups whose names begin so, those that still wait for room as well.

    Ray keeps the group of an engine on several GPUs until the job of its task ends, however the
    task ends: the GPUs stay taken, or asked for.
    """
    for group in ray.util.placement_group_table().values():
        if group["name"].startswith(prefix) and group["state"] != "REMOVED":
            with suppress(ValueError):  # it has gone since it was listed
                ray.util.remove_placement_group(ray.util.get_placement_group(group["name"]))


def _choose(
    waiting: Sequence[Work], running: Sequence[_Run], config: ProfileConfig
) -> tuple[int, bool] | None:
    """Which of the waiting starts now, and whether it has room; None if none does."""
    if not waiting:
        return None
    placed = [run.needs for run in running if run.has_room]
    chosen = choose_next(
        [needs(work.candidate, config.replica_bounds[0]) for work in waiting],
        placed,
        ray.cluster_resources(),
        ray.available_resources(),
        may_fit=len(placed) < config.max_parallel_candidates,
    )
    if chosen is None or chosen[1]:
        return chosen
    num_homeless = len(running) - len(placed)
    return chosen if num_homeless < config.max_parallel_candidates else None


def _start(
    work: Work, kept: pa.Table, plan: Plan, config: ProfileConfig, *, groups: str, has_room: bool
) -> _Run:
    # Beside the driver, with which it ends anyway: of other nodes that are lost, their replicas'
    # blocks are asked again and the pipeline goes on.
    home = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    task = ray.remote(answer_questions).options(num_cpus=0, max_retries=0, scheduling_strategy=home)
    own = f"{groups}-{work.candidate.slug}/"
    return _Run(
        work=work,
        stream=task.remote(_job(work, kept, plan, config, own)),
        groups=own,
        started_s=time.monotonic(),
        settled=kept,
        needs=needs(work.candidate, config.replica_bounds[0]),
        has_room=has_room,
    )


def _starting(run: _Run, config: ProfileConfig) -> str:
    low, high = config.replica_bounds
    text = f"starting {low if low == high else f'{low} to {high}'} replica(s)"
    if run.has_room:
        return text
    needed = ", ".join(f"{amount:g} {name}" for name, amount in sorted(run.needs.items()))
    return f"{text}; the cluster has no room for {needed} now"


def _advance(run: _Run, config: ProfileConfig, progress: Progress) -> Answers | Failure | None:
    """Take what has arrived; None while there is more to come."""
    name = run.work.candidate.name
    while ray.wait([run.stream], timeout=0)[0]:
        try:
            table = ray.get(next(run.stream))
        except StopIteration:
            return _answers(run)
        except ray.exceptions.RayError as error:
            return Failure(run.work, _named_reason(name, failure_reason(error)))
        run.first_answer_s = run.first_answer_s or time.monotonic()
        run.has_room = True
        run.tables.append(table)
        run.num_rows += table.num_rows
        answering_s = time.monotonic() - run.first_answer_s
        progress.answered(name, run.num_rows, answering_s, num_before=run.settled.num_rows)
    elapsed_s = time.monotonic() - run.started_s
    if elapsed_s > config.candidate_deadline_s:
        ray.cancel(run.stream, force=True)
        return Failure(run.work, _deadline_reason(run, config))
    if run.first_answer_s is None:
        progress.waiting(name, elapsed_s)
    return None


def failure_reason(error: BaseException) -> str:
    """The one line of a Ray error that says what went wrong, without its tracebacks."""
    found = [match for match in _REASON.findall(str(error)) if match[0] not in _WRAPPERS]
    if not found:
        return one_line(f"{type(error).__name__}: {error}")
    kind, reason = found[-1]
    return one_line(reason if kind.endswith("ZooError") else f"{kind}: {reason}")


def _named_reason(name: str, reason: str) -> str:
    named = f"candidate {name!r}: "
    return reason if reason.startswith(named) else named + reason


def _deadline_reason(run: _Run, config: ProfileConfig) -> str:
    candidate = run.work.candidate
    if isinstance(candidate, OpenAICandidate):
        cause = (
            f"{candidate.base_url} is too slow or does not answer; mend it, raise "
            "candidate_deadline_s or its remote.concurrency"
        )
    elif run.num_rows or not isinstance(candidate, VllmCandidate):
        cause = "its engine is too slow or keeps dying; raise candidate_deadline_s"
    else:
        cause = (
            f"{config.replica_bounds[0]} replica(s) of {resources_text(candidate)} found no room, "
            "or its engine keeps dying; add machines, lower replicas, or raise candidate_deadline_s"
        )
    return (
        f"candidate {candidate.name!r}: {run.num_rows} questions answered when its deadline of "
        f"{config.candidate_deadline_s:g} s passed: {cause}"
    )


def _answers(run: _Run) -> Answers:
    now_s = time.monotonic()
    return Answers(
        work=run.work,
        table=pa.concat_tables([run.settled, *run.tables]),
        num_resumed=run.settled.num_rows,
        start_s=(run.first_answer_s or now_s) - run.started_s,
        wall_s=now_s - run.started_s,
    )


def _job(
    work: Work, kept: pa.Table, plan: Plan, config: ProfileConfig, groups: str
) -> CandidateJob:
    return CandidateJob(
        candidate=work.candidate,
        questions=plan.questions,
        settled=kept["question_id"],
        checkpoint=work.checkpoint,
        replicas=config.replica_bounds,
        batch_size=config.batch_size,
        num_batches=config.num_batches,
        max_new_tokens=config.max_new_tokens,
        prompts=plan.prompts,
        # Longer than the deadline, which says more, whichever of the two is looked at first.
        start_timeout_s=2 * config.candidate_deadline_s,
        limits=config.limits(work.candidate.name),
        groups=groups,
    )
