"""Answered rows become outcomes rows, and outcomes become files, cards and counts."""

import base64
import io
import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import yaml
from PIL import Image

from modelsat.aptitude.images import ImageWriter
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.capability.cards import read_cards
from modelsat.errors import GradingError
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.graders import GRADERS
from modelsat.grading.text import TextGrader
from profiling.checkpoint import GRADED
from profiling.config import ProfileConfig
from profiling.engines.vllm_parser import AnswerParser
from profiling.engines.vllm_rows import neutral_row
from profiling.pipeline import drop_settled, grade_row
from profiling.rendering import OPTION_TOKENS, QUESTION
from profiling.report import count_outcomes, write_report
from profiling.results import Withheld, merge_results, num_engines, renew_grades, save_answers
from profiling.runner import Answers
from profiling.work import Plan, plan_run
from tests.support.drawn_images import drawn
from tests.support.profiling.zoo_files import QUESTION_IDS


def _row(question_id: str = "q0", **changes: Any) -> dict[str, Any]:
    row = {
        "question_id": question_id,
        "prompt": "Which?\nA) seven\nB) eight",
        "answer": question_id,
        "n_choices": 0,
        "grader": "",
        "grader_args": "",
        "finish_reason": "stop",
        "output": question_id,
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "engine_request": 0,
        "error": "",
    }
    return {**row, **changes}


def _answers(plan: Plan, rows: list[dict[str, Any]], index: int = 0) -> Answers:
    work = plan.works[index]
    graded = [grade_row(row, work.candidate.name) for row in rows]
    table = pa.Table.from_pylist(graded, schema=GRADED.arrow)
    return Answers(work, table, start_s=1.0, wall_s=2.0)


@pytest.mark.parametrize(
    ("changes", "correct", "failure"),
    [
        ({}, 1.0, None),
        ({"output": "something else"}, 0.0, None),
        ({"output": " "}, 0.0, "truncated"),
        ({"output": "...", "finish_reason": "stop"}, 0.0, "unparsable"),
        ({"grader": "number", "answer": "4", "output": "It is 4."}, 1.0, None),
        ({"output": "Well, let me see if", "finish_reason": "length"}, 0.0, "truncated"),
        ({"n_choices": 4, "answer": "B", "output": "b"}, 1.0, None),
        ({"n_choices": 4, "answer": "B", "output": "eight"}, 1.0, None),
        ({"n_choices": 4, "answer": "B", "output": "seven"}, 0.0, None),
        ({"n_choices": 4, "answer": "B", "output": "nine"}, 0.0, "unparsable"),
        ({"error": "ValueError: too\n  long"}, None, "failed: ValueError: too long"),
    ],
)
def test_grades(changes: dict[str, Any], correct: float | None, failure: str | None) -> None:
    outcome = grade_row(_row(**changes), "alpha")
    assert (outcome.get("correct"), outcome["failure"]) == (correct, failure)
    assert (outcome["question_id"], outcome["candidate"]) == ("q0", "alpha")
    assert outcome["source"] == "profiling"


def test_failed_row_has_no_answer_and_no_tokens() -> None:
    outcome = grade_row(_row(error="x" * 1000, output="", prompt_tokens=0), "alpha")
    assert not {"output", "prompt_tokens", "completion_tokens"} & set(outcome)
    assert len(outcome["failure"]) < 400


def test_engines_are_distinguished_by_their_numbering() -> None:
    def count(*requests: int) -> int:
        return num_engines(pa.table({"engine_request": pa.array(requests, type=pa.int64())}))

    assert count(0, 1, 2, 3) == 1
    assert count(0, 1, 1, 2) == 2
    assert count(-1, -1, 0) == 1
    assert count() == 0


def test_outcomes_are_saved_in_the_order_of_the_questions(config: ProfileConfig) -> None:
    plan = plan_run(config)
    rows = [_row(question_id) for question_id in reversed(QUESTION_IDS)]
    rows[0] |= {"error": "boom", "engine_request": -1}
    save_answers(_answers(plan, rows), plan, config)
    table = read_table(OUTCOMES, plan.works[0].path)
    assert table["question_id"].to_pylist() == list(QUESTION_IDS)
    assert count_outcomes(table) == {
        "num_questions": 6,
        "num_correct": 5,
        "num_incorrect": 0,
        "num_unparsable": 0,
        "num_truncated": 0,
        "num_ungraded": 0,
        "num_failed": 1,
    }
    assert plan.works[0].is_done()
    assert read_manifest(plan.works[0].path)["wall_s"] == 2.0


def test_too_many_failed_rows_save_nothing(config: ProfileConfig) -> None:
    plan = plan_run(config)
    rows = [_row(question_id, error="boom") for question_id in QUESTION_IDS[:2]]
    rows += [_row(question_id) for question_id in QUESTION_IDS[2:]]
    with pytest.raises(GradingError, match=r"2 of 6 questions failed, .* 0\.2 .*failed: boom"):
        save_answers(_answers(plan, rows), plan, config)
    assert not plan.works[0].path.exists()


def test_too_many_failures_keep_the_checkpoint(
    config: ProfileConfig,
) -> None:
    plan = plan_run(config)
    checkpoint = plan.works[0].checkpoint
    rows = [_row(question_id, error="boom") for question_id in QUESTION_IDS[:2]]
    rows += [_row(question_id) for question_id in QUESTION_IDS[2:]]
    graded = [grade_row(row, "alpha") for row in rows]
    for run in range(config.max_asking_runs):
        asked = graded if run == 0 else graded[:2]
        checkpoint.end_batch(checkpoint.begin_batch([row["question_id"] for row in asked]), asked)
        again = run + 1 < config.max_asking_runs
        said = "the next run asks 2 of them again" if again else "each failed in 3 run"
        with pytest.raises(GradingError, match=said):
            save_answers(_answers(plan, rows), plan, config)
    assert checkpoint.load(config.max_asking_runs).num_rows == len(QUESTION_IDS)


def test_saving_deletes_the_checkpoint_and_reports_repeated_rows(
    config: ProfileConfig,
) -> None:
    plan = plan_run(config)
    work = plan.works[0]
    work.checkpoint.begin_batch(QUESTION_IDS[:2])  # and killed
    answers = _answers(plan, [_row(question_id) for question_id in QUESTION_IDS])
    save_answers(replace(answers, num_resumed=4), plan, config)
    assert not work.checkpoint.folder.parent.exists()
    [entry] = write_report([work], set(), {}, {}, plan, config)["candidates"]
    assert (entry["num_resumed"], entry["num_repeated"]) == (4, 2)
    assert entry["rows_per_s"] == 1.0  # two of six questions in two seconds


def _scored(question_id: str, *logprobs: float) -> dict[str, Any]:
    """A row as the engine gives it, whose options' letters are the tokens 7, 8, ..."""
    tokens = range(7, 7 + len(logprobs))
    return {
        "question_id": question_id,
        QUESTION: "Which?",
        "answer": "A",
        "n_choices": len(logprobs),
        "grader": "",
        "grader_args": "",
        OPTION_TOKENS: list(tokens),
        "logprobs": [{t: {"logprob": p} for t, p in zip(tokens, logprobs, strict=True)}],
        "generated_text": "junk",
        "num_input_tokens": 5,
        "num_generated_tokens": 1,
        "request_id": 0,
        "__inference_error__": "",
    }


def test_near_ties_are_counted(config: ProfileConfig) -> None:
    """The margin in nats is 0, 0.0005, 0.002, 3; one question has one option, one failed."""
    plan = plan_run(config)
    likely = replace(plan, prompts=replace(plan.prompts, scoring="loglikelihood"))
    logprobs = [(-1, -1), (-2, -1, -1.0005), (-1.002, -1), (-4, -9, -1), (-1,)]
    rows = [
        neutral_row(_scored(name, *values), max_new_tokens=1)
        for name, values in zip(QUESTION_IDS[:5], logprobs, strict=True)
    ]
    assert [row["output"] for row in rows] == ["A", "B", "B", "C", "A"]
    rows.append(_row(QUESTION_IDS[5], error="boom"))
    for scored, index, expected in ((likely, 0, 2), (plan, 1, None)):
        save_answers(_answers(scored, rows, index), scored, config)
        work = scored.works[index]
        assert read_table(OUTCOMES, work.path).column_names == OUTCOMES.arrow.names
        [entry] = write_report([work], set(), {}, {}, scored, config)["candidates"]
        assert entry["num_near_ties"] == expected


class BrokenParser(AnswerParser):
    """As a plugin of an operator may be."""

    def __init__(self) -> None:
        pass

    def answer(self, *_: Any) -> str:
        raise KeyError("secret words of the answer")


def test_a_parser_that_fails_makes_the_row_fail() -> None:
    row = {**_scored("q0"), "generated_tokens": [7]}
    assert neutral_row(row, max_new_tokens=5)["error"] == ""
    failed = neutral_row(row, max_new_tokens=5, parser=BrokenParser())
    assert failed["error"] == "its parser failed: KeyError"


@pytest.mark.parametrize("settled", [(), ("q1",), ("q0", "q2", "other"), ("q0", "q1", "q2")])
def test_settled_questions_are_dropped_and_the_others_stay_in_order(
    settled: tuple[str, ...],
) -> None:
    asked = pa.table({"question_id": ["q0", "q1", "q2"], "prompt": ["a", "b", "c"]})
    left = drop_settled(asked, pa.chunked_array([settled], type=pa.string()))
    assert left.to_pylist() == [
        row for row in asked.to_pylist() if row["question_id"] not in settled
    ]


@pytest.mark.parametrize(
    "ids", [QUESTION_IDS[:5], (*QUESTION_IDS, "q0"), (*QUESTION_IDS[1:], "q1"), ()]
)
def test_missing_or_duplicate_answers_save_nothing(
    config: ProfileConfig, ids: tuple[str, ...]
) -> None:
    plan = plan_run(config)
    with pytest.raises(GradingError, match=rf"{len(ids)} answers to 6 questions"):
        save_answers(_answers(plan, [_row(question_id) for question_id in ids]), plan, config)
    assert not plan.works[0].path.exists()


def test_merged_tables_and_cards_follow_the_zoo_file(config: ProfileConfig) -> None:
    plan = plan_run(config)
    rows = [_row(question_id) for question_id in QUESTION_IDS]
    for index in (1, 0):
        save_answers(_answers(plan, rows, index), plan, config)
    assert merge_results(plan.works, plan, config) == Withheld()
    merged = read_table(OUTCOMES, config.output_dir / "outcomes.parquet")
    assert merged["candidate"].to_pylist() == ["alpha"] * 6 + ["Beta/2"] * 6
    cards = read_cards(config.output_dir / "cards.parquet", plan.tasks and (plan.tasks.tasks_hash,))
    assert list(cards) == ["alpha", "Beta/2"]
    assert cards["alpha"].accuracy_fraction == 1.0


def test_unchanged_results_are_not_written_again(config: ProfileConfig) -> None:
    plan = plan_run(config)
    rows = [_row(question_id) for question_id in QUESTION_IDS]
    save_answers(_answers(plan, rows), plan, config)
    merge_results(plan.works[:1], plan, config)
    files = sorted(config.output_dir.rglob("*.parquet"))
    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    merge_results(plan.works[:1], plan, config)
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files] == before


def test_candidate_with_failed_core_questions_gets_no_card(config: ProfileConfig) -> None:
    plan = plan_run(config)
    good = [_row(question_id) for question_id in QUESTION_IDS]
    save_answers(_answers(plan, good), plan, config)
    save_answers(_answers(plan, [*good[1:], _row("q0", error="boom")], 1), plan, config)
    without = merge_results(plan.works, plan, config).failed
    assert list(without) == ["Beta/2"]
    assert "failed on 1 of 3 aptitude questions" in without["Beta/2"]
    assert list(read_cards(config.output_dir / "cards.parquet")) == ["alpha"]


def test_candidate_whose_answers_are_cut_off_gets_no_card_unless_allowed(
    config: ProfileConfig,
) -> None:
    plan = plan_run(config)
    good = [_row(question_id) for question_id in QUESTION_IDS]
    save_answers(_answers(plan, good), plan, config)
    cut = _row("q0", output="Let me think: the", finish_reason="length")
    save_answers(_answers(plan, [cut, *good[1:]], 1), plan, config)
    withheld = merge_results(plan.works, plan, config)
    assert "1 of 6 answers were cut off" in withheld.truncated["Beta/2"]
    assert "raise max_new_tokens (16)" in withheld.truncated["Beta/2"]
    assert list(read_cards(config.output_dir / "cards.parquet")) == ["alpha"]
    report = write_report(plan.works, set(), {}, withheld.truncated, plan, config)
    assert [row["candidate"] for row in report["truncated"]] == ["Beta/2"]
    assert report["candidates"][1]["num_truncated"] == 1

    allowed = config.model_copy(update={"max_truncated_fraction": 0.2})
    assert merge_results(plan.works, plan, allowed) == Withheld()
    cards = read_cards(config.output_dir / "cards.parquet")
    assert [statement.num_truncated for statement in cards["Beta/2"].statements] == [1]


def test_stored_answers_are_graded_anew_when_a_grader_changes(
    config: ProfileConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_run(config)
    save_answers(_answers(plan, [_row(question_id) for question_id in QUESTION_IDS]), plan, config)
    work = plan.works[0]
    assert renew_grades(work, plan) is None

    class Stricter(TextGrader):
        version = TextGrader.version + 1

        def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
            return Grade.of_score(float(answer.text == "q1"))

    monkeypatch.setitem(GRADERS, "text", Stricter())
    assert renew_grades(work, plan) == len(QUESTION_IDS) - 1
    assert read_table(OUTCOMES, work.path)["correct"].to_pylist() == [0, 1, 0, 0, 0, 0]
    assert work.is_done()
    assert renew_grades(work, plan) is None


def test_report_distinguishes_profiled_reused_and_failed(config: ProfileConfig) -> None:
    plan = plan_run(config)
    rows = [_row(question_id) for question_id in QUESTION_IDS]
    for index in (0, 1):
        save_answers(_answers(plan, rows, index), plan, config)
    report = write_report(plan.works, {"alpha"}, {"gamma": "why"}, {}, plan, config)
    assert [entry["status"] for entry in report["candidates"]] == ["reused", "profiled"]
    assert report["candidates"][0]["prompt_tokens"] == 30
    assert report["candidates"][0]["rows_per_s"] == 3.0
    assert report["failures"] == [{"candidate": "gamma", "reason": "why"}]


def test_the_page_shows_images_of_a_task_that_has_them(config: ProfileConfig) -> None:
    table = config.questions[0]
    rows = read_table(QUESTIONS, table).to_pylist()
    rows[1]["images"] = [ImageWriter(table.parent).store(drawn("red", (200, 200)), table.parent)]
    write_table(QUESTIONS, rows, table)
    zoo = yaml.safe_load(config.zoo.read_text())
    for entry in zoo["candidates"]:
        entry["modalities"] = ["text", "image"]
    config.zoo.write_text(yaml.safe_dump(zoo))
    plan = plan_run(config)
    save_answers(_answers(plan, [_row(name) for name in QUESTION_IDS]), plan, config)
    write_report(plan.works[:1], set(), {}, {}, plan, config)
    page = (config.output_dir / "report.html").read_text()
    [source] = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"\s+alt="image of t">', page)
    with Image.open(io.BytesIO(base64.b64decode(source))) as image:
        assert image.size == (96, 96)
