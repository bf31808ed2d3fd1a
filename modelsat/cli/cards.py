"""``modelsat cards``: build capability cards from outcomes, show them, check them for drift."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import AsJson, print_json, print_table
from modelsat.errors import ArtifactError, ConfigError, GradingError, QualityError

if TYPE_CHECKING:
    import pyarrow as pa

    from modelsat.aptitude.tasks import TaskSet
    from modelsat.capability.cards import Card
    from modelsat.capability.drift import Drift
    from modelsat.cli.live_candidate import LiveCandidate

app = typer.Typer(no_args_is_help=True, help="Build, show and check capability cards.")

# Largest share of a slice that may fail before the check is rejected.
_MAX_FAILED_FRACTION = 0.05
_DEFAULT_NEW_TOKENS = 16  # of cards whose provenance does not say


@app.command()
def build(
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes table (parquet).")],
    tasks: Annotated[Path, typer.Option(help="Task set of the aptitude test (JSON).")],
    out: Annotated[Path, typer.Option(help="Cards to write (parquet).")],
    source: Annotated[
        str | None,
        typer.Option(help="Use only outcomes of these sources, as a,b; needed if they overlap."),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(help="Free text by candidate (YAML), for people; routers ignore it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build one card per candidate from its outcomes on the aptitude questions."""
    import json

    from modelsat.aptitude.own_requests import questions_not_for_all
    from modelsat.aptitude.tasks import load_tasks
    from modelsat.artifacts.hashing import file_hash
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_manifest, read_table
    from modelsat.capability.cards import build_cards, write_cards
    from modelsat.outcomes.joining import filter_sources

    task_set = load_tasks(tasks)
    asked = read_table(QUESTIONS, questions)
    _check_questions(asked, task_set, questions)
    sources = source.split(",") if source else None
    rows = filter_sources(read_table(OUTCOMES, outcomes), sources, origin=str(outcomes))
    provenance = {
        "tasks_hash": task_set.tasks_hash,
        "outcomes_hash": file_hash(outcomes),
        "source": source,
        "outcomes_manifest": read_manifest(outcomes),
    }
    cards = build_cards(
        rows,
        task_set,
        not_for_all=questions_not_for_all(asked.to_pylist()),
        notes=_read_notes(notes),
        provenance=json.dumps(provenance, sort_keys=True),
    )
    write_cards(cards, out)
    _print_cards(cards, out, as_json)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="CARDS", help="Cards (parquet).")],
    candidate: Annotated[
        str | None, typer.Option(help="Print this candidate's card in full.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the cards of a file, or one card in full."""
    from modelsat.capability.cards import read_cards, select_cards

    cards = select_cards(read_cards(file), None if candidate is None else [candidate])
    if candidate is not None and not as_json:
        typer.echo(f"{candidate} (card {cards[0].card_version})")
        typer.echo(cards[0].text())
        return
    _print_cards(cards, file, as_json)


@app.command()
def drift(
    candidate: Annotated[str, typer.Argument(help="Candidate whose card is checked.")],
    cards: Annotated[Path, typer.Option(help="Cards (parquet).")],
    tasks: Annotated[Path, typer.Option(help="Task set of the cards (JSON).")],
    questions: Annotated[Path, typer.Option(help="Questions table of the test (parquet).")],
    zoo: Annotated[Path | None, typer.Option(help="Zoo file with the candidate's URL.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Endpoint that serves the candidate, instead of --zoo.")
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the API key, if the zoo file has none."),
    ] = None,
    num_questions: Annotated[int, typer.Option(help="Size of the random slice.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the slice.")] = 0,
    significance: Annotated[
        float, typer.Option(help="Accepted probability of a false alarm, over all tests together.")
    ] = 0.01,
    shots: Annotated[int, typer.Option(help="Few-shot examples, as in profiling.")] = 0,
    examples: Annotated[
        Path | None, typer.Option(help="Table of the few-shot examples (parquet).")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Default: as profiled.")] = None,
    request_fields: Annotated[
        str,
        typer.Option(
            metavar="MAPPING", help="Extra request fields (YAML), as under `remote` in profiling."
        ),
    ] = "{}",
    timeout_s: Annotated[float, typer.Option(help="Read timeout of a request.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Check a card for drift: repeat a random slice of the test on the live candidate.

    Exit code 9 means that the card is no longer valid at the given significance.
    """
    from dataclasses import asdict

    from modelsat.aptitude import prompts as prompting
    from modelsat.aptitude.tasks import load_tasks
    from modelsat.artifacts.schemas import QUESTIONS
    from modelsat.artifacts.store import read_table
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.capability.drift import check_drift, draw_slice
    from modelsat.cli.live_candidate import find_live_candidate
    from modelsat.config import parse_config

    [card] = select_cards(read_cards(cards), [candidate])
    task_set = load_tasks(tasks)
    table = read_table(QUESTIONS, questions)
    _check_questions(table, task_set, questions)
    drawn = draw_slice(task_set, num_questions, seed)
    rows = _stated_rows(table.to_pylist(), drawn, task_set, card)
    values = {"shots": shots, "examples": examples}
    prompts = prompting.load_prompts(
        parse_config(prompting.PromptConfig, values, source="options"), rows
    )
    limit = _check_same_prompts(card, shots, max_new_tokens)
    live = find_live_candidate(candidate, zoo, url, key_env)
    fields = prompting.request_fields(_read_fields(request_fields), limit)
    chats = [prompts.chat(row, [str(questions.parent)])["messages"] for row in rows]
    correct = _grade_slice(live, rows, chats, fields, timeout_s)
    num_failed = len(rows) - len(correct)
    if num_failed > _MAX_FAILED_FRACTION * len(rows):
        raise GradingError(
            f"candidate {candidate!r} failed on {num_failed} of {len(rows)} questions, more than "
            f"{_MAX_FAILED_FRACTION:.0%}; fix the endpoint and retry"
        )
    found = check_drift(card, task_set, correct, significance=significance)
    if as_json:
        facts = {"candidate": candidate, "card_version": card.card_version, "seed": seed}
        print_json(facts | {"holds": found.holds, "num_failed": num_failed} | asdict(found))
    else:
        _print_drift(found, num_failed)
    if not found.holds:
        raise QualityError(
            f"the card of {candidate!r} is no longer valid (p = {found.p_value:.2g}, limit "
            f"{significance:g}); profile the candidate again"
        )


def _stated_rows(
    rows: list[dict[str, Any]], drawn: tuple[str, ...], task_set: "TaskSet", card: "Card"
) -> list[dict[str, Any]]:
    """Return the drawn questions of the tasks that the card states."""
    stated = {statement.task for statement in card.statements}
    readable = {q for task in task_set.tasks if task.task in stated for q in task.question_ids}
    return [row for row in rows if row["question_id"] in readable.intersection(drawn)]


def _read_fields(text: str) -> dict[str, Any]:
    import yaml

    from modelsat.aptitude.prompts import check_request_fields

    try:
        fields = yaml.safe_load(text)
        if not isinstance(fields, dict):
            raise ValueError("not a mapping")
        return check_request_fields(fields)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"--request-fields {text!r}: {' '.join(str(error).split())}; write it as "
            "'{max_tokens: null, max_completion_tokens: 512}'"
        ) from None


def _check_same_prompts(card: "Card", shots: int, max_new_tokens: int | None) -> int:
    """Check that the card was made with the same prompt settings, where its provenance has them.

    Returns:
        The most tokens of an answer: those of the profile, unless they are given.
    """
    profiled = dict(part.split("=", 1) for part in card.provenance.split() if "=" in part)
    current = {"scoring": "generated", "chat_template": "True", "shots": str(shots)}
    if max_new_tokens is not None:
        current["max_new_tokens"] = str(max_new_tokens)
    for name, value in current.items():
        if profiled.get(name, value) != value:
            raise ConfigError(
                f"the card of {card.candidate!r} was made with {name} {profiled[name]}, but this "
                f"check uses {name} {value}; use the settings of its profile (only cards of "
                "generated answers with a chat template can be checked)"
            )
    if max_new_tokens is not None:
        return max_new_tokens
    stated = profiled.get("max_new_tokens", str(_DEFAULT_NEW_TOKENS))  # or "choice:16,math:1024"
    return max(int(part.rpartition(":")[2]) for part in stated.split(","))


def _grade_slice(
    live: "LiveCandidate",
    rows: list[dict[str, Any]],
    chats: list[list[dict[str, Any]]],
    fields: dict[str, Any],
    timeout_s: float,
) -> dict[str, float]:
    """Return the score of each answered question, 0..1."""
    from modelsat.grading.graders import grade_answer

    outputs = live.ask_all(chats, fields=fields, timeout_s=timeout_s)
    correct = {}
    for row, output in zip(rows, outputs, strict=True):
        if output is not None:
            correct[row["question_id"]] = grade_answer(row, output).score
    return correct


def _print_drift(drift: "Drift", num_failed: int) -> None:
    print_table(
        [
            {
                "task": task.task,
                "asked": task.num_asked,
                "correct": task.num_correct,
                "card": task.card_accuracy_fraction,
                "p adjusted": task.p_value,
            }
            for task in drift.tasks[:5]
        ]
    )
    typer.echo(
        f"{drift.num_correct} of {drift.num_asked} correct, {drift.expected_correct:.1f} expected "
        f"from the card; {num_failed} failed; p = {drift.p_value:.2g}"
    )
    if drift.holds:
        typer.echo(
            f"the card holds at significance {drift.significance:g}; a change of "
            f"{drift.detectable_fraction:.0%} on all tasks would be detected in 80 % of cases"
        )


def _read_notes(path: Path | None) -> dict[str, str]:
    from modelsat.config import read_yaml_mapping

    notes = read_yaml_mapping(path) if path is not None else {}
    for candidate, text in notes.items():
        if not isinstance(candidate, str) or not isinstance(text, str):
            raise ConfigError(
                f"{path}: {candidate!r} has {text!r}; notes must map candidate names to text"
            )
    return notes


def _check_questions(questions: "pa.Table", tasks: "TaskSet", path: Path) -> None:
    columns = questions.select(["question_id", "task", "benchmark"]).to_pylist()
    found = {row["question_id"]: (row["benchmark"], row["task"]) for row in columns}
    for task in tasks.tasks:
        for question_id in task.question_ids:
            if question_id not in found:
                raise ArtifactError(
                    f"{path} lacks the aptitude question {question_id!r} of task {task.task!r}; "
                    "pass the questions table that the task set was built from"
                )
            expected = (tasks.benchmark_of(task), task.task)
            if found[question_id] != expected:
                raise ArtifactError(
                    f"{path}: question {question_id!r} belongs to (benchmark, task) "
                    f"{found[question_id]}, but the task set has it under "
                    f"{expected}; pass the questions table that the task set was built from"
                )


def _print_cards(cards: "tuple[Card, ...]", path: Path, as_json: bool) -> None:
    if as_json:
        documents = [
            {**card.as_row(), "accuracy_fraction": card.accuracy_fraction} for card in cards
        ]
        print_json({"file": str(path), "cards": documents})
        return
    rows = [
        {
            "candidate": card.candidate,
            "card_version": card.card_version,
            "tasks": len(card.statements),
            "answers": sum(statement.num_shots for statement in card.statements),
            "accuracy": card.accuracy_fraction,
            "unparsable": sum(statement.num_unparsable for statement in card.statements),
            "truncated": sum(statement.num_truncated for statement in card.statements),
            "failed": sum(statement.num_failed for statement in card.statements),
        }
        for card in cards
    ]
    print_table(rows)
    typer.echo(f"{path}: {len(rows)} cards of task set {cards[0].tasks_hash}")
