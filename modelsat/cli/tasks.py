"""``modelsat tasks``: choose the core tasks of the aptitude test, and show them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelsat.cli.output import print_json, print_table

if TYPE_CHECKING:
    from modelsat.aptitude.selection import Selection
    from modelsat.aptitude.separation import Standing
    from modelsat.aptitude.tasks import TaskSet

app = typer.Typer(no_args_is_help=True, help="Choose and show core tasks.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def select(
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the training zoo (parquet).")],
    benchmark: Annotated[str, typer.Option(help="Whose questions to take.")],
    out: Annotated[Path, typer.Option(help="Task set to write (JSON).")],
    sources: Annotated[
        str | None,
        typer.Option(help="Sources of outcomes to use, as a,b; needed where they overlap."),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(help="Candidates that must have answered, as a,b; all where not given."),
    ] = None,
    keywords: Annotated[
        Path | None,
        typer.Option(help="Five keywords for each task (YAML or JSON), in place of ours."),
    ] = None,
    by: Annotated[
        Literal["task", "category"], typer.Option(help="What makes a core task.")
    ] = "task",
    num_tasks: Annotated[int, typer.Option(help="Number of core tasks.")] = 50,
    shots: Annotated[int, typer.Option(help="Questions of each core task.")] = 20,
    seed: Annotated[int, typer.Option(help="Seeds ties and the choice among duplicates.")] = 0,
    report: Annotated[
        Path | None, typer.Option(help="Report of what each task separates (JSON).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the tasks and questions that tell the training zoo's candidates apart."""
    from modelsat.aptitude.keywords import load_keywords
    from modelsat.aptitude.selection import select_task_set
    from modelsat.artifacts.hashing import file_hash
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_table, write_json
    from modelsat.training.data import of_sources

    source_names = sources.split(",") if sources else None
    selection = select_task_set(
        read_table(QUESTIONS, questions),
        of_sources(read_table(OUTCOMES, outcomes), source_names, origin=str(outcomes)),
        load_keywords(benchmark, keywords),
        benchmark=benchmark,
        num_tasks=num_tasks,
        shots=shots,
        seed=seed,
        task_column=by,
        candidates=candidates.split(",") if candidates else None,
    )
    document = selection.document() | {
        "questions_hash": file_hash(questions),
        "outcomes_hash": file_hash(outcomes),
        "sources": source_names,
    }
    selection.task_set.save(out)
    if report is not None:
        write_json(report, document)
    if as_json:
        print_json({"file": str(out)} | document)
        return
    _print_selection(selection, out)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="TASKS", help="Task set (JSON).")],
    as_json: AsJson = False,
) -> None:
    """Show the core tasks of a file with their keywords."""
    from modelsat.aptitude.tasks import load_tasks

    task_set = load_tasks(file)
    if as_json:
        facts = {"file": str(file), "tasks_hash": task_set.tasks_hash}
        print_json(facts | task_set.model_dump(mode="json"))
        return
    print_table(
        [
            {"task": task.task, "shots": len(task.question_ids), "keywords": task.description}
            for task in task_set.tasks
        ]
    )
    typer.echo(f"{file}: {_summary(task_set)}")


def _print_selection(selection: "Selection", out: Path) -> None:
    print_table(
        [
            {
                "task": task.task,
                "usable": task.num_usable,
                "correct": task.separation.accuracy_fraction,
                "spread": task.separation.spread_fraction,
                "reliability": task.separation.reliability,
                "shots reliability": task.shots_reliability,
                "like others": task.separation.overall_correlation,
                "best": _shown(task.separation.best),
                "worst": _shown(task.separation.worst),
            }
            for task in selection.tasks
        ]
    )
    for dropped in selection.dropped:
        typer.echo(f"dropped {dropped.task}: {dropped.reason}")
    for reason, count in selection.excluded.items():
        if count:
            typer.echo(f"left out {count} {reason}")
    typer.echo(f"{len(selection.num_answers)} candidates, seed {selection.seed}")
    typer.echo(f"{out}: {_summary(selection.task_set)}")


def _summary(task_set: "TaskSet") -> str:
    counts = f"{len(task_set.tasks)} core tasks, {len(task_set.question_ids)} questions"
    return f"{counts} of {task_set.benchmark}, task set {task_set.tasks_hash}"


def _shown(standing: "Standing") -> str:
    low, high = standing.interval
    return f"{standing.candidate} {standing.accuracy_fraction:.2f} ({low:.2f}-{high:.2f})"
