"""The report's figures against numbers worked by hand, and its page."""

import json
from typing import Any

import pyarrow as pa
import pytest

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.zoo.candidate import Price
from profiling.checkpoint import GRADED
from profiling.config import ProfileConfig
from profiling.report import accuracy, cost_usd, write_report
from profiling.report_page import draw_heat_map
from profiling.results import merge_results, save_answers
from profiling.runner import Answers
from profiling.work import Plan, plan_run
from tests.support.profiling.zoo_files import QUESTION_IDS, questions


def _outcomes(*rows: tuple[float | None, int | None, int | None]) -> pa.Table:
    keys = ("correct", "prompt_tokens", "completion_tokens")
    named = [{"question_id": str(i), "candidate": "a"} for i in range(len(rows))]
    filled = [
        {**name, **dict(zip(keys, row, strict=True))} for name, row in zip(named, rows, strict=True)
    ]
    return pa.Table.from_pylist(filled, schema=OUTCOMES.arrow)


def _save(config: ProfileConfig, correct: dict[str, float | None], index: int = 0) -> Plan:
    """Outcomes of one candidate: 5 prompt tokens and 2 of the answer, for each that has one."""
    plan = plan_run(config)
    rows = []
    for question_id in QUESTION_IDS:
        row: dict[str, Any] = {"question_id": question_id, "candidate": "alpha"}
        value = correct.get(question_id, 1.0)
        if value is None:
            row["failure"] = "failed: <boom>"
        else:
            row |= {"correct": value, "prompt_tokens": 5, "completion_tokens": 2}
        rows.append({**row, "engine_request": 0})
    table = pa.Table.from_pylist(rows, schema=GRADED.arrow)
    save_answers(Answers(plan.works[index], table, num_resumed=2, wall_s=2.0), plan, config)
    return plan


def test_accuracy_of_graded_answers_with_wilson_interval() -> None:
    table = _outcomes((1.0, 1, 1), (0.0, 1, 1), (1.0, 1, 1), (1.0, 1, 1), (None, None, None))
    # 3 of 4: (0.75 + z2/8 +- z sqrt(0.1875/4 + z2/64)) / (1 + z2/4), z2 = 1.96^2 = 3.8416
    assert accuracy(table) == pytest.approx(
        {"accuracy_fraction": 0.75, "low_fraction": 0.3006, "high_fraction": 0.9544}, abs=1e-3
    )
    assert accuracy(_outcomes((None, None, None)))["accuracy_fraction"] is None


def test_cost_uses_zoo_prices_and_is_unknown_without_counts() -> None:
    price = Price(input_usd_per_mtok=2.0, output_usd_per_mtok=10.0)
    table = _outcomes((1.0, 1000, 100), (0.0, 500, 50), (None, None, None))
    assert cost_usd(table, price) == pytest.approx(1500 * 2e-6 + 150 * 10e-6)
    assert cost_usd(table, None) is None
    assert cost_usd(_outcomes((1.0, 1000, None)), price) is None


def test_report_has_accuracy_by_core_task_tokens_and_speed(config: ProfileConfig) -> None:
    plan = _save(config, {"q0": 0.0, "q1": None, "q5": 0.0})
    report = write_report(plan.works[:1], set(), {}, {}, plan, config)
    [row] = report["candidates"]
    assert (row["num_correct"], row["num_incorrect"], row["num_failed"]) == (3, 2, 1)
    assert row["accuracy_fraction"] == pytest.approx(3 / 5)
    [task] = row["tasks"]  # q0 to q2
    assert (task["task"], task["num_questions"], task["num_failed"]) == ("t", 3, 1)
    assert task["accuracy_fraction"] == 0.5
    assert (row["prompt_tokens"], row["completion_tokens"]) == (25, 10)
    # Two of the six are of an earlier run: q0 with its tokens and q1, which failed.
    assert (row["prompt_tokens_per_s"], row["completion_tokens_per_s"]) == (10.0, 4.0)
    assert row["cost_usd"] is None
    assert json.loads((config.output_dir / "report.json").read_text()) == report


def test_tasks_come_from_the_tables_without_a_task_set(config: ProfileConfig) -> None:
    plan = _save(config.model_copy(update={"tasks": None}), {})
    config = config.model_copy(update={"tasks": None})
    [row] = write_report(plan.works[:1], set(), {}, {}, plan, config)["candidates"]
    assert [(task["task"], task["num_questions"]) for task in row["tasks"]] == [("t", 6)]


@pytest.mark.parametrize("has_tasks", [True, False])
def test_tasks_of_a_kept_candidate_are_its_own_when_tables_are_given_in_another_order(
    config: ProfileConfig, has_tasks: bool
) -> None:
    other = [{**row, "task": "u"} for row in questions(*QUESTION_IDS[3:])]
    write_table(QUESTIONS, other, config.questions[1])
    changes = {} if has_tasks else {"tasks": None}
    config = config.model_copy(update=changes)
    _save(config, {"q0": 0.0, "q1": 0.0, "q2": 0.0})
    config = config.model_copy(update={"questions": config.questions[::-1]})
    plan = plan_run(config)
    assert plan.works[0].is_done()
    [row] = write_report(plan.works[:1], {"alpha"}, {}, {}, plan, config)["candidates"]
    found = {task["task"]: task["accuracy_fraction"] for task in row["tasks"]}
    assert found == ({"t": 0.0} if has_tasks else {"u": 1.0, "t": 0.0})


def test_page_shows_candidates_failures_and_the_cards(config: ProfileConfig) -> None:
    plan = _save(config, {"q0": 0.0})
    merge_results(plan.works[:1], plan, config)
    failures = {"far": "candidate 'far': <script>alert(1)</script>"}
    report = write_report(plan.works[:1], set(), failures, {}, plan, config)
    assert report["card_accuracy"] == {"alpha": {"t": pytest.approx(2 / 3)}}
    page = (config.output_dir / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "83.3" in page  # 5 of 6
    assert "<svg" in page


def test_page_of_a_run_without_any_result(config: ProfileConfig) -> None:
    report = write_report([], set(), {"alpha": "why"}, {}, plan_run(config), config)
    assert report["card_accuracy"] == {}
    page = (config.output_dir / "report.html").read_text()
    assert "why" in page
    assert "<svg" not in page


def test_heat_map_includes_tasks_missing_from_a_card() -> None:
    svg = draw_heat_map({"alpha": {"t": 0.5, "u": 1.0}, "beta": {"t": 0.25}})
    assert svg.startswith("<svg")
