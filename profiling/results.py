"""The results of a run: outcomes per candidate, the merged tables, the cards."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.capability.cards import Card, build_cards, read_cards, write_cards
from modelsat.errors import ArtifactError, GradingError
from modelsat.grading.grade import JUDGE, Kind
from modelsat.grading.graders import has_failed
from modelsat.grading.regrading import num_changed, regrade
from profiling.checkpoint import ENGINE_REQUEST, MARGIN
from profiling.config import ProfileConfig
from profiling.report import count_outcomes, count_tokens
from profiling.runner import Answers
from profiling.work import CARDS_FILE, OUTCOMES_FILE, Plan, Work, max_tokens, tokens_text

# Log-likelihoods of one question differ by less between batches, kernels and machines.
_NEAR_TIE_NATS = 1e-3


def save_answers(answers: Answers, plan: Plan, config: ProfileConfig) -> None:
    """Write one candidate's outcomes, in the order of the questions; drop its checkpoint.

    Raises:
        GradingError: a question lacks an answer or has two, or too many failed; nothing is
            written and the checkpoint stays, so that the next run asks again what failed.
        MachineError: no disk space, or the folder cannot be written.
    """
    name = answers.work.candidate.name
    table = _in_order(answers.table, answers.work.question_ids, name)
    if answers.num_resumed:  # an earlier release may have graded the answers of an earlier run
        table = regrade(table, plan.rows)
    num_failed = count_outcomes(table)["num_failed"]
    if num_failed > config.max_failed_fraction * table.num_rows:
        reason = next(row["failure"] for row in table.to_pylist() if has_failed(row))
        raise GradingError(
            f"candidate {name!r}: {num_failed} of {table.num_rows} questions failed, more than "
            f"max_failed_fraction {config.max_failed_fraction:g} allows; "
            f"{_next_run(answers.work, num_failed, config)}; the first: {reason}"
        )
    manifest = {
        "candidate": name,
        "work_hash": answers.work.work_hash,
        "graders": plan.graders,
        "max_new_tokens": max_tokens(answers.work.candidate, plan.graders, config),
        "num_resumed": answers.num_resumed,
        "num_repeated": answers.work.checkpoint.num_interrupted(),
        "start_s": round(answers.start_s, 2),
        "wall_s": round(answers.wall_s, 2),
        "num_engines": num_engines(table),
        "num_near_ties": num_near_ties(table) if plan.prompts.scoring == "loglikelihood" else None,
        **_run_tokens(answers),
    }
    write_table(OUTCOMES, table.drop_columns([ENGINE_REQUEST, MARGIN]), answers.work.path, manifest)
    answers.work.checkpoint.discard()


def renew_grades(work: Work, plan: Plan) -> int | None:
    """Grade a candidate's stored answers again if its graders have changed since.

    Returns:
        How many answers have another grade; None if the graders are the same.
    """
    manifest = read_manifest(work.path)
    if manifest.get("graders") == plan.graders:
        return None
    before = read_table(OUTCOMES, work.path)
    after = regrade(before, plan.rows)
    write_table(OUTCOMES, after, work.path, {**manifest, "graders": plan.graders})
    return num_changed(before, after)


def too_many_cut(
    table: pa.Table, name: str, tokens: Mapping[str, int], config: ProfileConfig
) -> str | None:
    """Return the error message if too many answers of a candidate were cut off, otherwise None."""
    num_truncated = count_outcomes(table)["num_truncated"]
    if num_truncated <= config.max_truncated_fraction * table.num_rows:
        return None
    return (
        f"candidate {name!r}: {num_truncated} of {table.num_rows} answers were cut off before "
        f"they named a result, more than max_truncated_fraction "
        f"{config.max_truncated_fraction:g} allows; raise max_new_tokens ({tokens_text(tokens)}) "
        "in the zoo file or for the run, or max_truncated_fraction to count them as wrong"
    )


def too_few_graded(table: pa.Table, name: str, plan: Plan, config: ProfileConfig) -> str | None:
    """Return the error message if too many answers of a candidate have no grade, else None.

    The judge's own answers do not count: they get no grade on purpose. A vote without enough
    candidates counts only if there is a card to build.
    """
    is_waiting = pc.equal(table["failure"], Kind.UNGRADED.value)
    if plan.tasks is None:
        is_waiting = pc.and_(is_waiting, pc.equal(table["grader"], JUDGE))
    num_waiting = pc.sum(is_waiting).as_py() or 0
    if num_waiting <= config.max_failed_fraction * table.num_rows:
        return None
    return (
        f"candidate {name!r}: {num_waiting} of {table.num_rows} answers have no grade, more than "
        f"max_failed_fraction {config.max_failed_fraction:g} allows: the judge gave no score, or "
        "fewer than three candidates answered where they vote; run again with another judge or "
        "more candidates"
    )


def num_engines(table: pa.Table) -> int:
    """How many engines answered: each numbers its requests from 0.

    An engine counts again when it died and was restarted, and in every run of the candidate.
    """
    answered = table[ENGINE_REQUEST].filter(pc.greater_equal(table[ENGINE_REQUEST], 0))
    return max(Counter(answered.to_pylist()).values(), default=0)


def num_near_ties(table: pa.Table) -> int:
    """Questions whose likeliest option leads the second by so little that a rerun may swap them."""
    return pc.sum(pc.less(table[MARGIN], _NEAR_TIE_NATS)).as_py() or 0


@dataclass(frozen=True)
class Withheld:
    """Candidates that are done but get no card, each with the reason.

    Attributes:
        failed: too many questions failed, or too many answers have no grade.
        truncated: too many answers were cut off.
    """

    failed: dict[str, str] = field(default_factory=dict)
    truncated: dict[str, str] = field(default_factory=dict)


def merge_results(done: Sequence[Work], plan: Plan, config: ProfileConfig) -> Withheld:
    """Write the merged outcomes and the cards of the candidates that are done.

    Files that would not change stay untouched.
    """
    withheld = Withheld()
    if not done:
        return withheld
    tables = [read_table(OUTCOMES, work.path) for work in done]
    path = config.output_dir / OUTCOMES_FILE
    manifest = {
        "work_hashes": {work.candidate.name: work.work_hash for work in done},
        "graders": plan.graders,
    }
    _write_outcomes_if_changed(pa.concat_tables(tables), path, manifest)
    cards: list[Card] = []
    for work, table in zip(done, tables, strict=True):
        tokens = max_tokens(work.candidate, plan.graders, config)
        reason = too_many_cut(table, work.candidate.name, tokens, config)
        if reason is not None:
            withheld.truncated[work.candidate.name] = reason
            continue
        reason = too_few_graded(table, work.candidate.name, plan, config)
        if reason is not None:
            withheld.failed[work.candidate.name] = reason
            continue
        if plan.tasks is None:
            continue
        provenance = (
            f"engine={work.candidate.engine} work={work.work_hash} "
            f"scoring={config.prompt.scoring} chat_template={config.prompt.chat_template} "
            f"shots={config.prompt.shots} max_new_tokens={tokens_text(tokens)}"
        )
        try:
            cards += build_cards(
                table,
                plan.tasks,
                not_for_all=plan.rows.keys() - set(work.question_ids),
                max_failed_fraction=config.max_failed_fraction,
                provenance=provenance,
            )
        except GradingError as error:
            withheld.failed[work.candidate.name] = str(error)
    _write_cards_if_changed(cards, config.output_dir / CARDS_FILE)
    return withheld


def _run_tokens(answers: Answers) -> dict[str, int]:
    """Tokens of what this run has asked; the settled rows of earlier runs come first."""
    asked = answers.table.slice(answers.num_resumed)
    return {f"run_{name}": number for name, number in count_tokens(asked).items()}


def _next_run(work: Work, num_failed: int, config: ProfileConfig) -> str:
    num_final = count_outcomes(work.checkpoint.load(config.max_asking_runs))["num_failed"]
    if num_final < num_failed:
        return f"the next run asks {num_failed - num_final} of them again"
    return (
        f"each failed in {config.max_asking_runs} run(s) and is not asked again: fix "
        f"the cause and delete {work.checkpoint.folder}"
    )


def _in_order(table: pa.Table, question_ids: tuple[str, ...], name: str) -> pa.Table:
    found = table["question_id"].to_pylist()
    position = {question_id: index for index, question_id in enumerate(found)}
    missing = [question_id for question_id in question_ids if question_id not in position]
    if missing or len(found) != len(question_ids):
        raise GradingError(
            f"candidate {name!r}: {len(found)} answers to {len(question_ids)} questions, "
            f"{len(missing)} questions without one; the questions changed during the run, or "
            "an engine lost them: run again"
        )
    return table.take([position[question_id] for question_id in question_ids])


def _write_outcomes_if_changed(table: pa.Table, path: Path, manifest: dict[str, Any]) -> None:
    try:
        if read_manifest(path) == manifest and read_table(OUTCOMES, path).equals(table):
            return
    except ArtifactError:
        pass
    write_table(OUTCOMES, table, path, manifest)


def _write_cards_if_changed(cards: list[Card], path: Path) -> None:
    if not cards:
        return
    try:
        if list(read_cards(path).values()) == cards:
            return
    except ArtifactError:
        pass
    write_cards(cards, path)
