"""Grades that come after the answers: by a judge, or by the vote of all candidates."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.grading.grade import JUDGE, VOTE, Kind
from modelsat.grading.graders import graded_question, grader_name, stored_grade
from modelsat.grading.judge import Judge, read_rubric
from modelsat.grading.judging import DEFAULT_RUBRIC
from modelsat.grading.voting import vote
from profiling.candidate_log import CandidateLog
from profiling.config import ProfileConfig
from profiling.judge_address import find_judge
from profiling.work import Plan, Work

JOURNAL_FILE = "judgements.jsonl"
OWN_JUDGE = f"{Kind.UNGRADED.value}: a judge does not grade its own answers"

Rows = dict[str, list[dict[str, Any]]]


def grade_later(done: Sequence[Work], plan: Plan, config: ProfileConfig, log: CandidateLog) -> None:
    """Grade the answers of finished candidates that their own grader left ungraded.

    Votes are counted again in every run, as they change when a candidate joins. A judge is asked
    only about answers without a grade; its replies are kept in ``judgements.jsonl``.

    Raises:
        ConfigError: the judge's address is wrong.
        ZooError: the zoo file does not hold the judge, or its key is missing.
        MachineError: the judge cannot be reached.
    """
    wanted = plan.graders.keys() & {JUDGE, VOTE}
    if not wanted or not done:
        return
    tables = [read_table(OUTCOMES, work.path) for work in done]
    rows = {
        work.candidate.name: table.to_pylist() for work, table in zip(done, tables, strict=True)
    }
    if VOTE in wanted:
        _vote(rows, plan.rows)
    if JUDGE in wanted:
        _judge(rows, plan.rows, config, log)
    for work, before in zip(done, tables, strict=True):
        after = pa.Table.from_pylist(rows[work.candidate.name], schema=before.schema)
        if not after.equals(before):
            write_table(OUTCOMES, after, work.path, read_manifest(work.path))


def _vote(rows: Rows, questions: Mapping[str, Mapping[str, Any]]) -> None:
    answers: dict[str, dict[str, dict[str, Any]]] = {}
    for name, own in rows.items():
        for row in own:
            question = questions.get(row["question_id"])
            is_cut = row["failure"] == Kind.TRUNCATED.value
            if question and grader_name(question) == VOTE and row["output"] and not is_cut:
                answers.setdefault(row["question_id"], {})[name] = row
    for question_id, by_name in answers.items():
        question = questions[question_id]
        outputs = {name: row["output"] for name, row in by_name.items()}
        for name, grade in vote(graded_question(question), outputs).items():
            by_name[name].update(stored_grade(question, grade))


def _judge(
    rows: Rows,
    questions: Mapping[str, Mapping[str, Any]],
    config: ProfileConfig,
    log: CandidateLog,
) -> None:
    settings = config.judge
    assert settings is not None  # checked by plan_run
    waiting = []
    for name, own in rows.items():
        found = [row for row in own if (row["failure"] or "").startswith(Kind.UNGRADED.value)]
        found = [row for row in found if grader_name(questions[row["question_id"]]) == JUDGE]
        if name == settings.name and not settings.allow_itself:
            for row in found:
                row["failure"] = OWN_JUDGE
        else:
            waiting += found
    if not waiting:
        return
    live = find_judge(settings, config.zoo)
    fields = {"temperature": 0.0, "max_tokens": settings.max_new_tokens}
    judge = Judge(
        ask=partial(live.ask_all, fields=fields, timeout_s=settings.request_timeout_s),
        identity=[live.base_url, live.model, fields],
        journal=config.output_dir / JOURNAL_FILE,
        rubric=read_rubric(settings.rubric) if settings.rubric else DEFAULT_RUBRIC,
    )
    log.say(settings.name, f"grades {len(waiting)} answers as the judge")
    answers = [(questions[row["question_id"]], row["output"]) for row in waiting]
    for row, judgement in zip(waiting, judge.grade(answers), strict=True):
        row["judgement"] = judgement.text
        if judgement.score is not None:
            row.update(judgement.stored())
