"""The report of a run: accuracy by task, tokens, speed and cost per candidate, and failures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.images import read_image
from modelsat.aptitude.separation import wilson_interval
from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_manifest, read_table, write_json, write_text
from modelsat.capability.cards import TRUNCATED, UNPARSABLE, read_cards
from modelsat.grading.grade import Kind
from modelsat.zoo.candidate import Price
from profiling.config import ProfileConfig
from profiling.report_page import render_page, thumbnail
from profiling.work import CARDS_FILE, OUTCOMES_FILE, Plan, Work

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
_NUM_THUMBNAILS = 3  # of each task with images


def write_report(
    done: Sequence[Work],
    reused: set[str],
    failures: Mapping[str, str],
    truncated: Mapping[str, str],
    plan: Plan,
    config: ProfileConfig,
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html``, and return the report.

    Args:
        done: candidates with outcomes.
        reused: names of those whose outcomes an earlier run had written.
        failures: reason by name of candidates that could not be profiled or get no card.
        truncated: reason by name of candidates with too many answers that were cut off.
        plan: the whole run.
        config: its configuration.
    """
    groups = group_by_task(plan)
    cards = config.output_dir / CARDS_FILE
    has_cards = bool(done) and config.tasks is not None and cards.exists()
    report = {
        "candidates": [_describe(work, work.candidate.name in reused, groups) for work in done],
        "failures": [{"candidate": name, "reason": text} for name, text in failures.items()],
        "truncated": [{"candidate": name, "reason": text} for name, text in truncated.items()],
        "outcomes": str(config.output_dir / OUTCOMES_FILE) if done else None,
        "cards": str(cards) if has_cards else None,
        "card_accuracy": _card_accuracy(cards) if has_cards else {},
    }
    write_json(config.output_dir / REPORT_FILE, report)
    page = render_page(report, _thumbnails(groups, plan))
    write_text(config.output_dir / PAGE_FILE, page)
    return report


def _thumbnails(groups: Mapping[str, Sequence[str]], plan: Plan) -> dict[str, list[str]]:
    """The first images of each task that has images."""
    shown = {}
    for task, question_ids in groups.items():
        images = [name for i in question_ids for name in plan.rows[i]["images"] or ()]
        if images:
            shown[task] = [
                thumbnail(read_image(name, plan.folders)) for name in images[:_NUM_THUMBNAILS]
            ]
    return shown


def group_by_task(plan: Plan) -> dict[str, Sequence[str]]:
    """Return question ids by core task, or by the tables' tasks without a task set."""
    if plan.tasks is not None:
        return {core.task: core.question_ids for core in plan.tasks.tasks}
    groups: dict[str, list[str]] = {}
    for question_id, row in plan.rows.items():
        groups.setdefault(row["task"], []).append(question_id)
    return {**groups}


def count_outcomes(table: pa.Table) -> dict[str, int]:
    """Count the rows of an outcomes table by kind of grade; the counts add up to all rows.

    An answer with a fraction of the score counts as incorrect here.
    """
    num_ungraded = pc.sum(_is_ungraded(table)).as_py() or 0
    num_failed = table["correct"].null_count - num_ungraded
    num_unparsable = pc.sum(pc.equal(table["failure"], UNPARSABLE)).as_py() or 0
    num_truncated = pc.sum(pc.equal(table["failure"], TRUNCATED)).as_py() or 0
    num_correct = pc.sum(pc.equal(table["correct"], 1.0)).as_py() or 0
    num_without_result = num_unparsable + num_truncated + num_ungraded + num_failed
    num_read = table.num_rows - num_without_result
    return {
        "num_questions": table.num_rows,
        "num_correct": num_correct,
        "num_incorrect": num_read - num_correct,
        "num_unparsable": num_unparsable,
        "num_truncated": num_truncated,
        "num_ungraded": num_ungraded,
        "num_failed": num_failed,
    }


def _is_ungraded(table: pa.Table) -> pa.ChunkedArray:
    """Rows with an answer that waits for a judge or a vote."""
    return pc.starts_with(pc.fill_null(table["failure"], ""), pattern=Kind.UNGRADED.value)


def count_tokens(table: pa.Table) -> dict[str, int]:
    """Tokens of the questions and the answers of an outcomes table, as far as they are known."""
    return {
        name: pc.sum(table[name]).as_py() or 0 for name in ("prompt_tokens", "completion_tokens")
    }


def cost_usd(table: pa.Table, price: Price | None) -> float | None:
    """Return the cost of the answers at a price, US dollars; None without price or counts.

    Failed requests count nothing: whether a provider charges for them is not known.
    """
    answered = table.filter(pc.or_(pc.is_valid(table["correct"]), _is_ungraded(table)))
    counts = [answered["prompt_tokens"], answered["completion_tokens"]]
    if price is None or any(column.null_count for column in counts):
        return None
    prompt_tokens, completion_tokens = (pc.sum(column).as_py() or 0 for column in counts)
    return price.cost_usd(prompt_tokens, completion_tokens)


def accuracy(table: pa.Table) -> dict[str, Any]:
    """Share of correct answers among the graded ones, 0..1, with its 95 % Wilson interval."""
    num_graded = table.num_rows - table["correct"].null_count
    if not num_graded:
        return {"accuracy_fraction": None, "low_fraction": None, "high_fraction": None}
    num_correct = float(pc.sum(table["correct"]).as_py())
    low, high = wilson_interval(num_correct, num_graded)
    return {
        "accuracy_fraction": num_correct / num_graded,
        "low_fraction": low,
        "high_fraction": high,
    }


def _describe(work: Work, reused: bool, groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    table, manifest = read_table(OUTCOMES, work.path), read_manifest(work.path)
    # Tables of earlier releases do not say all of it.
    wall_s, num_resumed = manifest["wall_s"], manifest.get("num_resumed", 0)
    # By id: an earlier run may have been given the questions in another order.
    places = {question_id: i for i, question_id in enumerate(table["question_id"].to_pylist())}
    tasks = {
        task: table.take([places[i] for i in ids if i in places])
        for task, ids in groups.items()
        if any(i in places for i in ids)  # a candidate is not asked questions that it cannot read
    }
    return {
        "candidate": work.candidate.name,
        "status": "reused" if reused else "profiled",
        **count_outcomes(table),
        **accuracy(table),
        "num_near_ties": manifest.get("num_near_ties"),
        "tasks": [_describe_task(task, rows) for task, rows in tasks.items()],
        **count_tokens(table),
        "cost_usd": cost_usd(table, work.candidate.price),
        "num_resumed": num_resumed,
        "num_repeated": manifest.get("num_repeated", 0),
        "num_engines": manifest["num_engines"],
        "start_s": manifest["start_s"],
        "wall_s": wall_s,
        "rows_per_s": _rate(table.num_rows - num_resumed, wall_s),
        "prompt_tokens_per_s": _rate(manifest.get("run_prompt_tokens"), wall_s),
        "completion_tokens_per_s": _rate(manifest.get("run_completion_tokens"), wall_s),
        "outcomes": str(work.path),
    }


def _describe_task(task: str, table: pa.Table) -> dict[str, Any]:
    return {"task": task, **count_outcomes(table), **accuracy(table)}


def _rate(number: int | None, wall_s: float) -> float | None:
    return round(number / wall_s, 2) if wall_s and number is not None else None


def _card_accuracy(path: Path) -> dict[str, dict[str, float]]:
    return {
        name: {statement.task: statement.accuracy_fraction for statement in card.statements}
        for name, card in read_cards(path).items()
    }
