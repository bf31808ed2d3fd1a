"""Report what a run would do, without doing it."""

from typing import Any

from profiling.config import ProfileConfig
from profiling.packing import needs
from profiling.work import Plan, Work, max_tokens, tokens_text


def describe_plan(plan: Plan, config: ProfileConfig) -> dict[str, Any]:
    """The resolved plan as plain values.

    Args:
        plan: the whole run.
        config: its configuration.

    Returns:
        ``config`` with every default; ``num_questions``; ``candidates`` in the order of the zoo
        file, each with its ``state`` (``kept``, ``asked`` or ``refused``) and either a ``reason``
        or how many questions are settled, how many are asked, and what its start reserves.
    """
    refused = [
        {"candidate": name, "state": "refused", "reason": reason}
        for name, reason in plan.refused.items()
    ]
    return {
        "config": config.model_dump(mode="json"),
        "num_questions": len(plan.rows),
        "candidates": [*(_describe(work, plan, config) for work in plan.works), *refused],
    }


def plan_lines(described: dict[str, Any]) -> list[str]:
    """The same for people, a line for each candidate."""
    config = described["config"]
    prompt = config["prompt"]
    lines = [
        f"{described['num_questions']} questions, {prompt['shots']} worked examples each, scoring "
        f"{prompt['scoring']}, chat template {'on' if prompt['chat_template'] else 'off'}",
        f"up to {config['max_parallel_candidates']} candidate(s) side by side, each within "
        f"{config['candidate_deadline_s']:g} s; into {config['output_dir']}",
    ]
    return lines + [f"{row['candidate']}: {_text(row)}" for row in described["candidates"]]


def _describe(work: Work, plan: Plan, config: ProfileConfig) -> dict[str, Any]:
    num_questions = len(work.question_ids)
    is_done = work.is_done()
    num_settled = num_questions
    if not is_done:
        num_settled = work.checkpoint.load(config.max_asking_runs).num_rows
    return {
        "candidate": work.candidate.name,
        "state": "kept" if is_done else "asked",
        "num_settled": num_settled,
        "num_to_ask": num_questions - num_settled,
        "num_not_read": len(plan.rows) - num_questions,
        "max_new_tokens": max_tokens(work.candidate, plan.graders, config),
        "replicas": list(config.replica_bounds),
        "needs": needs(work.candidate, config.replica_bounds[0]),
        "work_hash": work.work_hash,
    }


def _text(row: dict[str, Any]) -> str:
    if row["state"] == "refused":
        return f"refused: {row['reason']}"
    if row["state"] == "kept":
        return "unchanged since it was profiled; kept"
    low, high = row["replicas"]
    needed = ", ".join(f"{amount:g} {name}" for name, amount in sorted(row["needs"].items()))
    not_read = f", {row['num_not_read']} that it does not read" if row["num_not_read"] else ""
    return (
        f"{row['num_to_ask']} questions to ask, {row['num_settled']} settled by an earlier run"
        f"{not_read}, "
        f"answers of at most {tokens_text(row['max_new_tokens'])} tokens; "
        f"{low if low == high else f'{low} to {high}'} replica(s), starting with {needed}"
    )
