"""Runs candidates side by side, each in a Ray task of its own with its own deadline.

Ray must be initialized. Nothing is written.
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

from profiling.candidate_log import CandidateLog
from profiling.config import ProfileConfig
from profiling.engines import engine_of
from profiling.job import CandidateJob
from profiling.packing import choose_next, needs
from profiling.pipeline import answer_questions, one_line
from profiling.work import Plan, Work, max_tokens

_POLL_S = 1.0  # how often deadlines are checked while nothing arrives
# The last "SomeError: reason" of a traceback is the cause.
_REASON = re.compile(r"^\s*(?:[\w.]*\.)?(\w*(?:Error|Exception|Exit)): (\S.*)$", re.MULTILINE)
_WRAPPERS = frozenset({"UserCodeException", "RayTaskError", "ActorDiedError"})


@dataclass(frozen=True)
class Answers:
    """All answers of one candidate.

    Attributes:
        work: the candidate's work.
        table: graded answers, a table ``checkpoint.GRADED``.
        num_resumed: number of answers that an earlier run had written.
        start_s: seconds until the first answers: scheduling, imports, loading, one batch.
        wall_s: seconds from start to end.
    """

    work: Work
    table: pa.Table
    num_resumed: int = 0
    start_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A candidate that could not be profiled, and the reason in one line."""

    work: Work
    reason: str


@dataclass
class _Run:
    work: Work
    stream: Any
    groups: str  # prefix of the names of its placement groups
    started_s: float
    settled: pa.Table
    needs: dict[str, float]
    has_room: bool  # there were enough free resources when it started, or it has answered
    tables: list[pa.Table] = field(default_factory=list)
    num_rows: int = 0
    first_answer_s: float | None = None


def run_candidates(
    works: Sequence[Work],
    settled: Mapping[str, pa.Table],
    plan: Plan,
    config: ProfileConfig,
    log: CandidateLog,
) -> Generator[Answers | Failure, None, None]:
    """Profile candidates side by side, as many as the cluster has room for.

    At most ``max_parallel_candidates`` with room run at once, and as many again that exceed the
    cluster's present size: these wait for machines until their deadline.

    Args:
        works: candidates to profile.
        settled: finished rows by candidate name.
        plan: the whole run.
        config: its configuration.
        log: receives a line for each event, and the number of answers.

    Yields:
        Each candidate's answers or failure as it ends; a failure does not affect the others.
    """
    waiting = list(works)
    running: list[_Run] = []
    groups = f"profiling-{uuid.uuid4().hex}"  # unique, as other runs may share the cluster
    try:
        while waiting or running:
            while (chosen := _choose(waiting, running, config)) is not None:
                work = waiting.pop(chosen[0])
                kept = settled[work.candidate.name]
                run = _start(work, kept, plan, config, groups=groups, has_room=chosen[1])
                running.append(run)
                log.say(work.candidate.name, _starting(run, config))
            for run in list(running):
                end = _advance(run, config, log)
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
    """Remove the placement groups with this name prefix, pending ones too.

    Ray keeps the group of an engine on several GPUs until the job of its task ends, even if the
    task has failed: the GPUs stay reserved, or requested.
    """
    for group in ray.util.placement_group_table().values():
        if group["name"].startswith(prefix) and group["state"] != "REMOVED":
            with suppress(ValueError):  # it was removed since it was listed
                ray.util.remove_placement_group(ray.util.get_placement_group(group["name"]))


def _choose(
    waiting: Sequence[Work], running: Sequence[_Run], config: ProfileConfig
) -> tuple[int, bool] | None:
    """Return the index of the work to start now and whether it has room; None if none starts."""
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
    num_without_room = len(running) - len(placed)
    return chosen if num_without_room < config.max_parallel_candidates else None


def _start(
    work: Work, kept: pa.Table, plan: Plan, config: ProfileConfig, *, groups: str, has_room: bool
) -> _Run:
    # On the driver's node, since the task ends with the driver anyway. When another node is lost,
    # Ray Data repeats the blocks of its replicas and the pipeline goes on.
    driver_node = ray.get_runtime_context().get_node_id()
    task = ray.remote(answer_questions).options(
        num_cpus=0,
        max_retries=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(driver_node, soft=False),
    )
    own = f"{groups}-{work.candidate.slug}/"
    return _Run(
        work=work,
        stream=task.remote(make_job(work, kept, plan, config, own)),
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


def _advance(run: _Run, config: ProfileConfig, log: CandidateLog) -> Answers | Failure | None:
    """Collect the answers that have arrived; return None while more are to come."""
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
        num_all = run.settled.num_rows + run.num_rows
        log.answered(name, table.num_rows, num_all, len(run.work.question_ids))
    elapsed_s = time.monotonic() - run.started_s
    if elapsed_s > config.candidate_deadline_s:
        ray.cancel(run.stream, force=True)
        return Failure(run.work, _deadline_reason(run, config))
    return None


def failure_reason(error: BaseException) -> str:
    """Return the cause of a Ray error in one line, without its tracebacks."""
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
    advice = engine_of(candidate).deadline_advice(config.replica_bounds[0], run.num_rows > 0)
    return (
        f"candidate {candidate.name!r}: {run.num_rows} questions answered when its deadline of "
        f"{config.candidate_deadline_s:g} s passed: {advice}"
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


def _left_out(work: Work, kept: pa.Table, plan: Plan) -> pa.ChunkedArray:
    asked = set(work.question_ids)
    not_read = [question_id for question_id in plan.rows if question_id not in asked]
    return pa.chunked_array([*kept["question_id"].chunks, pa.array(not_read, pa.string())])


def make_job(
    work: Work, kept: pa.Table, plan: Plan, config: ProfileConfig, groups: str
) -> CandidateJob:
    """Return the job of one candidate's Ray task.

    Args:
        work: the candidate's work.
        kept: finished rows.
        plan: the whole run.
        config: its configuration.
        groups: prefix for the names of placement groups.
    """
    return CandidateJob(
        candidate=work.candidate,
        questions=plan.questions,
        settled=_left_out(work, kept, plan),
        checkpoint=work.checkpoint,
        replicas=config.replica_bounds,
        batch_size=config.batch_size,
        num_batches=config.num_batches,
        max_new_tokens=max_tokens(work.candidate, plan.graders, config),
        prompts=plan.prompts,
        # Longer than the deadline, whose error message says more.
        start_timeout_s=2 * config.candidate_deadline_s,
        limits=config.limits(work.candidate.name),
        folders=plan.folders,
        groups=groups,
    )
