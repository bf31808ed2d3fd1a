"""Answers that a judge or the other candidates grade after all have answered."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import read_cards
from modelsat.errors import ConfigError
from modelsat.progress import Progress
from profiling.candidate_log import CandidateLog
from profiling.checkpoint import GRADED
from profiling.config import JudgeConfig, ProfileConfig
from profiling.later_grades import grade_later
from profiling.pipeline import grade_row
from profiling.report import count_outcomes, write_report
from profiling.results import merge_results, save_answers
from profiling.runner import Answers
from profiling.work import Plan, plan_run
from tests.support.judge_server import fair, judging
from tests.support.profiling.zoo_files import save_model

LOG = CandidateLog(Progress("profile", 6, "questions"))


def _questions(config: ProfileConfig, grader: str, answer: str) -> ProfileConfig:
    """The same questions, graded later."""
    for path in config.questions:
        rows = read_table(QUESTIONS, path).to_pylist()
        write_table(QUESTIONS, [{**row, "grader": grader, "answer": answer} for row in rows], path)
    return config


def _answer(plan: Plan, config: ProfileConfig, index: int, **outputs: str) -> None:
    """Save a candidate's answers, "yes" unless given."""
    work = plan.works[index]
    rows = []
    for question_id, question in plan.rows.items():
        answered = {"output": outputs.get(question_id, "yes"), "finish_reason": "stop"}
        answered |= {"prompt_tokens": 5, "completion_tokens": 2, "engine_request": 0, "error": ""}
        rows.append(grade_row({**question, **answered}, work.candidate.name))
    save_answers(Answers(work, pa.Table.from_pylist(rows, schema=GRADED.arrow)), plan, config)


def _correct(plan: Plan, index: int) -> list[float | None]:
    values = read_table(OUTCOMES, plan.works[index].path)["correct"].to_pylist()
    return [None if value is None else round(value, 4) for value in values]


@pytest.fixture
def voting(config: ProfileConfig, tmp_path: Path) -> ProfileConfig:
    """Three candidates that vote on six questions."""
    zoo = yaml.safe_load((tmp_path / "zoo.yaml").read_text())
    save_model(tmp_path / "model2", 2.0)
    third = {**zoo["candidates"][0], "name": "gamma"}
    loading = {"model_id": "gamma", "model_source": str(tmp_path / "model2")}
    third["llm_config"] = {"model_loading_config": loading}
    zoo["candidates"].append(third)
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    return _questions(config, "vote", "")


def test_candidates_vote_once_all_have_answered(voting: ProfileConfig) -> None:
    plan = plan_run(voting)
    for index in range(2):
        _answer(plan, voting, index)
    grade_later(plan.works[:2], plan, voting, LOG)
    assert _correct(plan, 0) == [None] * 6
    withheld = merge_results(plan.works[:2], plan, voting)
    assert "6 of 6 answers have no grade" in withheld.failed["alpha"]

    _answer(plan, voting, 2, q0="no", q1="yes, of course")
    grade_later(plan.works, plan, voting, LOG)
    assert _correct(plan, 0) == [0.6, *[0.8] * 5]
    assert _correct(plan, 2) == [0.4, *[0.8] * 5]
    assert merge_results(plan.works, plan, voting).failed == {}
    card = read_cards(voting.output_dir / "cards.parquet")["alpha"]
    assert [statement.graders for statement in card.statements] == ["vote"]
    assert card.accuracy_fraction == pytest.approx((0.6 + 0.8 + 0.8) / 3)
    merged = read_table(OUTCOMES, voting.output_dir / "outcomes.parquet")
    assert merged["correct"].null_count == 0


def test_votes_are_counted_anew_when_a_candidate_leaves(voting: ProfileConfig) -> None:
    plan = plan_run(voting)
    for index in range(3):
        _answer(plan, voting, index)
    grade_later(plan.works, plan, voting, LOG)
    assert _correct(plan, 0) == [0.8] * 6
    grade_later(plan.works[:2], plan, voting, LOG)
    assert _correct(plan, 0) == [None] * 6


def test_answers_that_wait_are_neither_failed_nor_asked_again(voting: ProfileConfig) -> None:
    plan = plan_run(voting)
    work = plan.works[0]
    row = {**plan.rows["q0"], "output": "yes", "finish_reason": "stop", "error": ""}
    row |= {"prompt_tokens": 5, "completion_tokens": 2, "engine_request": 0}
    work.checkpoint.end_batch(work.checkpoint.begin_batch(["q0"]), [grade_row(row, "alpha")])
    settled = work.checkpoint.load(max_asking_runs=3)
    assert settled["question_id"].to_pylist() == ["q0"]
    counts = count_outcomes(settled)
    assert (counts["num_ungraded"], counts["num_failed"]) == (1, 0)


def _judged(config: ProfileConfig, url: str, **changes: Any) -> ProfileConfig:
    judge = JudgeConfig(name="gpt", url=url, **changes)
    return _questions(config.model_copy(update={"judge": judge}), "judge", "yes")


def test_a_judge_grades_within_the_run(config: ProfileConfig, loopback: None) -> None:
    with judging(fair) as (url, bodies):
        judged = _judged(config, url)
        plan = plan_run(judged)
        _answer(plan, judged, 0, q1="no")
        grade_later(plan.works[:1], plan, judged, LOG)
        assert _correct(plan, 0) == [1, 0, 1, 1, 1, 1]
        assert len(bodies) == 12  # in both orders
        grade_later(plan.works[:1], plan, judged, LOG)
        assert len(bodies) == 12
    assert merge_results(plan.works[:1], plan, judged).failed == {}
    [row] = write_report(plan.works[:1], set(), {}, {}, plan, judged)["candidates"]
    assert (row["num_correct"], row["num_incorrect"], row["num_ungraded"]) == (5, 1, 0)


def test_the_rubric_of_a_question_comes_before_that_of_the_run(
    config: ProfileConfig, loopback: None, tmp_path: Path
) -> None:
    (tmp_path / "rubric.txt").write_text("10: brief")
    with judging(fair) as (url, bodies):
        judged = _judged(config, url, rubric=tmp_path / "rubric.txt")
        rows = read_table(QUESTIONS, config.questions[0]).to_pylist()
        rows[0]["grader_args"] = '{"rubric": "10: kind"}'
        write_table(QUESTIONS, rows, config.questions[0])
        plan = plan_run(judged)
        _answer(plan, judged, 0)
        grade_later(plan.works[:1], plan, judged, LOG)
    rubrics = [body["messages"][0]["content"].rpartition("Scores: ")[2] for body in bodies]
    assert sorted(rubrics) == ["10: brief"] * 10 + ["10: kind"] * 2


def test_a_judge_that_talks_nonsense_leaves_no_grade_and_is_asked_again(
    config: ProfileConfig, loopback: None
) -> None:
    with judging(lambda _: "Lovely.") as (url, bodies):
        judged = _judged(config, url)
        plan = plan_run(judged)
        _answer(plan, judged, 0)
        for number in (1, 2):
            grade_later(plan.works[:1], plan, judged, LOG)
            assert len(bodies) == 12 * number
    withheld = merge_results(plan.works[:1], plan, judged)
    assert "6 of 6 answers have no grade" in withheld.failed["alpha"]
    table = read_table(OUTCOMES, plan.works[0].path)
    assert set(table["judgement"].to_pylist()) == {"Lovely.\n---\nLovely."}
    assert not (judged.output_dir / "cards.parquet").exists()


def test_a_judge_does_not_grade_itself_unless_allowed(
    config: ProfileConfig, loopback: None
) -> None:
    with judging(fair) as (url, bodies):
        judged = _judged(config, url)
        itself = judged.judge.model_copy(update={"name": "alpha"})  # type: ignore[union-attr]
        judged = judged.model_copy(update={"judge": itself})
        plan = plan_run(judged)
        _answer(plan, judged, 0)
        grade_later(plan.works[:1], plan, judged, LOG)
        assert not bodies
        table = read_table(OUTCOMES, plan.works[0].path)
        assert set(table["failure"].to_pylist()) == {
            "ungraded: a judge does not grade its own answers"
        }
        allowed = itself.model_copy(update={"allow_itself": True})
        judged = judged.model_copy(update={"judge": allowed})
        grade_later(plan.works[:1], plan, judged, LOG)
    assert _correct(plan, 0) == [1.0] * 6


def test_questions_for_a_judge_need_one(config: ProfileConfig) -> None:
    with pytest.raises(ConfigError, match=r"6 questions have the grader 'judge'.*judge\.name"):
        plan_run(_questions(config, "judge", ""))
