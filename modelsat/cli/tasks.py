"""``modelsat tasks``: import or generate questions, select, combine and show core tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelsat.cli.output import AsJson, check_output, print_json, print_table
from modelsat.errors import ConfigError

if TYPE_CHECKING:
    from modelsat.aptitude.images import ImageWriter
    from modelsat.aptitude.selection import Selection
    from modelsat.aptitude.separation import CandidateAccuracy
    from modelsat.aptitude.sources import ImportedQuestions
    from modelsat.aptitude.tasks import TaskSet

app = typer.Typer(
    no_args_is_help=True, help="Import or generate questions; select, combine and show core tasks."
)

_DEMO, _OWN = "demo", "own"  # sources of questions besides the published benchmarks


@app.command("import")
def import_(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="mmlu, mmlu_pro, winogrande, arc_challenge, boolq, truthfulqa, mrpc or mnli; "
            "mmmu, ai2d or ccbench, with images; "
            "demo: generated questions; own: your own table with the questions' columns.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Questions table to write (parquet).")],
    source: Annotated[
        str | None,
        typer.Option(
            help="Hub id of a dataset, or a parquet, CSV, TSV or JSONL file, or a folder of them, "
            "with the same columns; default: the benchmark's hub id."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split; default: a split with published answers.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on the hub; default: main branch.")
    ] = None,
    per_task: Annotated[
        int | None, typer.Option(help="Maximum questions per task; default: all (demo: 20).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seeds the draw within each task.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a questions table from a benchmark's hub dataset or local files.

    Images of questions are written to the folder `images` beside it.
    """
    from collections import Counter

    from modelsat.aptitude.images import ImageWriter
    from modelsat.artifacts.schemas import QUESTIONS
    from modelsat.artifacts.store import write_table

    check_output(out, None if source is None else Path(source))
    with ImageWriter(out.parent) as images:
        imported = _import(benchmark, source, split, revision, per_task, seed, images)
        manifest = {"imported": benchmark, "per_task": per_task, "seed": seed} | imported.manifest
        write_table(QUESTIONS, imported.questions, out, manifest)
        used = imported.questions["images"].to_pylist()
        images.keep_only(name for names in used for name in names or ())
    counts = Counter(imported.questions["task"].to_pylist())
    if as_json:
        print_json({"file": str(out), "tasks": dict(sorted(counts.items()))} | manifest)
        return
    typer.echo(f"{out}: {sum(counts.values())} questions of {len(counts)} tasks of {benchmark}")


@app.command()
def generate(
    form: Annotated[
        int, typer.Option(help="Number of the form; the same number gives the same questions.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for questions.parquet and tasks.json.")],
    shots: Annotated[int, typer.Option(help="Questions of each task, a multiple of 5.")] = 20,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks to generate, as a,b; default: all tasks.")
    ] = None,
    domains: Annotated[
        str | None, typer.Option(help="Domains to generate, as a,b, with any --tasks.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Generate a form of the general test: 50 tasks with questions that no model has seen."""
    from modelsat.aptitude.general import generate_form, select_tasks
    from modelsat.artifacts.schemas import QUESTIONS
    from modelsat.artifacts.store import write_table

    questions_file, tasks_file = out / "questions.parquet", out / "tasks.json"
    check_output(questions_file)
    check_output(tasks_file)
    names, wanted = (
        [one.strip() for one in (text or "").split(",") if one.strip()] for text in (tasks, domains)
    )
    chosen = select_tasks(names, wanted)
    questions, task_set = generate_form(form, shots, chosen)
    manifest = {"generated": task_set.benchmark, "form": form, "shots": shots}
    write_table(QUESTIONS, questions, questions_file, manifest)
    task_set.save(tasks_file)
    if as_json:
        files = {"questions": str(questions_file), "task_set": str(tasks_file)}
        by_domain: dict[str, list[str]] = {}
        for task in chosen:
            by_domain.setdefault(task.domain, []).append(task.name)
        print_json(files | {"tasks_hash": task_set.tasks_hash, "domains": by_domain} | manifest)
        return
    typer.echo(f"{questions_file}: {questions.num_rows} questions, form {form}")
    typer.echo(f"{tasks_file}: {_summary(task_set)}")


@app.command()
def combine(
    files: Annotated[list[Path], typer.Argument(metavar="TASKS...", help="Task sets (JSON).")],
    out: Annotated[Path, typer.Option(help="Combined task set to write (JSON).")],
    as_json: AsJson = False,
) -> None:
    """Combine task sets, such as generated tasks and tasks of a benchmark, into one test."""
    from modelsat.aptitude.tasks import combine_task_sets, load_tasks

    check_output(out, *files)
    task_set = combine_task_sets([(str(file), load_tasks(file)) for file in files])
    task_set.save(out)
    if as_json:
        facts = {"file": str(out), "tasks_hash": task_set.tasks_hash}
        print_json(facts | {"benchmark": task_set.benchmark, "tasks": len(task_set.tasks)})
        return
    typer.echo(f"{out}: {_summary(task_set)}")


@app.command()
def select(
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the training zoo (parquet).")],
    benchmark: Annotated[str, typer.Option(help="Benchmark to select from.")],
    out: Annotated[Path, typer.Option(help="Task set to write (JSON).")],
    sources: Annotated[
        str | None,
        typer.Option(help="Sources of outcomes to use, as a,b; needed if they overlap."),
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(help="Candidates that must have answered, as a,b; default: all."),
    ] = None,
    keywords: Annotated[
        Path | None,
        typer.Option(help="Five keywords for each task (YAML or JSON), instead of the shipped."),
    ] = None,
    by: Annotated[
        Literal["task", "category"], typer.Option(help="Column that defines core tasks.")
    ] = "task",
    num_tasks: Annotated[int, typer.Option(help="Number of core tasks.")] = 50,
    shots: Annotated[int, typer.Option(help="Questions of each core task.")] = 20,
    seed: Annotated[int, typer.Option(help="Seeds ties and the choice among duplicates.")] = 0,
    report: Annotated[
        Path | None, typer.Option(help="Report of how each task separates candidates (JSON).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Select the tasks and questions that best separate the training zoo's candidates."""
    from modelsat.aptitude.keywords import load_keywords
    from modelsat.aptitude.selection import select_task_set
    from modelsat.artifacts.hashing import file_hash
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_table, write_json
    from modelsat.outcomes.joining import filter_sources

    source_names = sources.split(",") if sources else None
    selection = select_task_set(
        read_table(QUESTIONS, questions),
        filter_sources(read_table(OUTCOMES, outcomes), source_names, origin=str(outcomes)),
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
def rotate(
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the zoo on them (parquet).")],
    out: Annotated[Path, typer.Option(help="Rotated questions to write (parquet).")],
    max_solved_fraction: Annotated[
        float, typer.Option(help="Largest share of candidates that may solve a hard question.")
    ] = 0.25,
    as_json: AsJson = False,
) -> None:
    """Circle test, step 1: write hard questions with their options in every rotated order."""
    from modelsat.aptitude.circle import rotate_hard_questions
    from modelsat.aptitude.images import copy_images
    from modelsat.artifacts.hashing import file_hash
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_table, write_table

    rotated = rotate_hard_questions(
        read_table(QUESTIONS, questions), read_table(OUTCOMES, outcomes), max_solved_fraction
    )
    manifest = {
        "questions_hash": file_hash(questions),
        "outcomes_hash": file_hash(outcomes),
        "max_solved_fraction": max_solved_fraction,
    }
    copy_images(rotated, questions.parent, out.parent)
    write_table(QUESTIONS, rotated, out, manifest)
    num_hard = len(set(rotated["dup_group"].to_pylist()))
    if as_json:
        print_json({"file": str(out), "rotations": rotated.num_rows} | manifest)
        return
    typer.echo(
        f"{out}: {rotated.num_rows} rotations of hard questions, {num_hard} groups of duplicates; "
        "profile the zoo on them, then run `modelsat tasks refine`"
    )


@app.command()
def refine(
    outcomes: Annotated[Path, typer.Option(help="Outcomes on the original questions (parquet).")],
    rotated: Annotated[Path, typer.Option(help="Questions from `tasks rotate` (parquet).")],
    rotated_outcomes: Annotated[
        Path, typer.Option(help="Outcomes on the rotated questions (parquet).")
    ],
    out: Annotated[Path, typer.Option(help="Refined outcomes to write (parquet).")],
    as_json: AsJson = False,
) -> None:
    """Circle test, step 2: count a correct answer only if it was given in every order."""
    from modelsat.aptitude.circle import FAILURE_PREFIX, refine_outcomes
    from modelsat.artifacts.hashing import file_hash
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_manifest, read_table, write_table

    refined = refine_outcomes(
        read_table(OUTCOMES, outcomes),
        read_table(QUESTIONS, rotated),
        read_table(OUTCOMES, rotated_outcomes),
    )
    manifest = {
        "outcomes_manifest": read_manifest(outcomes),
        "rotated_hash": file_hash(rotated),
        "rotated_outcomes_hash": file_hash(rotated_outcomes),
    }
    write_table(OUTCOMES, refined, out, manifest)
    failures = refined["failure"].to_pylist()
    num_refuted = sum((failure or "").startswith(FAILURE_PREFIX) for failure in failures)
    if as_json:
        print_json({"file": str(out), "num_refuted": num_refuted} | manifest)
        return
    typer.echo(
        f"{out}: {num_refuted} correct answers were not correct in every order, now count as wrong"
    )


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
        print_json(facts | task_set.document())
        return
    print_table(
        [
            {
                "task": task.task,
                "benchmark": task_set.benchmark_of(task),
                "shots": len(task.question_ids),
                "keywords": task.description,
            }
            for task in task_set.tasks
        ]
    )
    typer.echo(f"{file}: {_summary(task_set)}")


def _import(
    benchmark: str,
    source: str | None,
    split: str | None,
    revision: str | None,
    per_task: int | None,
    seed: int,
    images: "ImageWriter",
) -> "ImportedQuestions":
    from modelsat.aptitude.benchmarks import BENCHMARKS
    from modelsat.aptitude.sources import (
        ImportedQuestions,
        draw_per_task,
        import_benchmark,
        import_questions,
    )
    from modelsat.aptitude.tasks import SHOTS_PER_TASK

    if benchmark in BENCHMARKS:
        imported = import_benchmark(
            BENCHMARKS[benchmark], source, images=images, split=split, revision=revision
        )
    elif benchmark == _OWN:
        if source is None or split is not None or revision is not None:
            raise ConfigError(
                f"{_OWN} needs your file as --source, and accepts neither --split nor --revision: "
                "the file's column split sets the split"
            )
        imported = import_questions(source, images)
    elif benchmark == _DEMO:
        from modelsat.demo.bank import generate_questions

        if source is not None or revision is not None:
            raise ConfigError(f"{_DEMO} is generated: omit --source and --revision")
        drawn = SHOTS_PER_TASK if per_task is None else per_task
        questions = generate_questions(split or "aptitude", drawn, seed)
        return ImportedQuestions(questions, {"split": split or "aptitude"})
    else:
        raise ConfigError(
            f"unknown benchmark {benchmark!r}; allowed: {', '.join([*BENCHMARKS, _DEMO, _OWN])}"
        )
    if per_task is None:
        return imported
    return ImportedQuestions(draw_per_task(imported.questions, per_task, seed), imported.manifest)


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
                "correlation": task.separation.overall_correlation,
                "best": _format_accuracy(task.separation.best),
                "worst": _format_accuracy(task.separation.worst),
            }
            for task in selection.tasks
        ]
    )
    for dropped in selection.dropped:
        typer.echo(f"dropped {dropped.task}: {dropped.reason}")
    for reason, count in selection.excluded.items():
        if count:
            typer.echo(f"excluded {count} {reason}")
    typer.echo(f"{len(selection.num_answers)} candidates, seed {selection.seed}")
    typer.echo(f"{out}: {_summary(selection.task_set)}")


def _summary(task_set: "TaskSet") -> str:
    counts = f"{len(task_set.tasks)} core tasks, {len(task_set.question_ids)} questions"
    return f"{counts} of {task_set.benchmark}, task set {task_set.tasks_hash}"


def _format_accuracy(result: "CandidateAccuracy") -> str:
    low, high = result.interval
    return f"{result.candidate} {result.accuracy_fraction:.2f} ({low:.2f}-{high:.2f})"
