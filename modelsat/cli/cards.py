"""``modelsat cards``: build capability cards from outcomes, and show them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import print_json, print_table
from modelsat.errors import ArtifactError

if TYPE_CHECKING:
    import pyarrow as pa

    from modelsat.aptitude.tasks import TaskSet
    from modelsat.capability.cards import Card

app = typer.Typer(no_args_is_help=True, help="Build and show capability cards.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def build(
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes table (parquet).")],
    tasks: Annotated[Path, typer.Option(help="Task set of the aptitude test (JSON).")],
    out: Annotated[Path, typer.Option(help="Cards to write (parquet).")],
    source: Annotated[
        str | None,
        typer.Option(help="Take outcomes of these sources only, as a,b; where sources overlap."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build one card per candidate from its outcomes on the aptitude questions."""
    import json

    from modelsat.aptitude.tasks import load_tasks
    from modelsat.artifacts.hashing import file_hash
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_manifest, read_table
    from modelsat.capability.cards import build_cards, write_cards
    from modelsat.training.data import of_sources

    task_set = load_tasks(tasks)
    _check_questions(read_table(QUESTIONS, questions), task_set, questions)
    sources = source.split(",") if source else None
    rows = of_sources(read_table(OUTCOMES, outcomes), sources, origin=str(outcomes))
    provenance = {
        "tasks_hash": task_set.tasks_hash,
        "outcomes_hash": file_hash(outcomes),
        "source": source,
        "outcomes_manifest": read_manifest(outcomes),
    }
    cards = build_cards(rows, task_set, provenance=json.dumps(provenance, sort_keys=True))
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


def _check_questions(questions: "pa.Table", tasks: "TaskSet", path: Path) -> None:
    columns = questions.select(["question_id", "task", "benchmark"]).to_pylist()
    found = {row["question_id"]: (row["benchmark"], row["task"]) for row in columns}
    for task in tasks.tasks:
        for question_id in task.question_ids:
            if question_id not in found:
                raise ArtifactError(
                    f"{path} lacks the aptitude question {question_id!r} of task {task.task!r}; "
                    "give the questions table that the task set was built from"
                )
            if found[question_id] != (tasks.benchmark, task.task):
                raise ArtifactError(
                    f"{path}: question {question_id!r} belongs to (benchmark, task) "
                    f"{found[question_id]}, but the task set has it under "
                    f"{(tasks.benchmark, task.task)}; give the questions table that the task "
                    "set was built from"
                )


def _print_cards(cards: "tuple[Card, ...]", path: Path, as_json: bool) -> None:
    if as_json:
        documents = [_document(card) for card in cards]
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
            "failed": sum(statement.num_failed for statement in card.statements),
        }
        for card in cards
    ]
    print_table(rows)
    typer.echo(f"{path}: {len(rows)} cards of task set {cards[0].tasks_hash}")


def _document(card: "Card") -> dict[str, Any]:
    return {
        "candidate": card.candidate,
        "card_version": card.card_version,
        "tasks_hash": card.tasks_hash,
        "accuracy_fraction": card.accuracy_fraction,
        "statements": [vars(statement) for statement in card.statements],
        "notes": card.notes,
        "provenance": card.provenance,
    }
