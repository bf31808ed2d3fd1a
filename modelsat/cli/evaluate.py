"""``modelsat evaluate``: judge a router on questions with known outcomes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.cli.output import print_json, print_table
from modelsat.errors import ConfigError


def evaluate(
    router: Annotated[Path, typer.Option(help="Router directory.")],
    cards: Annotated[Path, typer.Option(help="Cards (parquet).")],
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the candidates (parquet).")],
    report: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    candidates: Annotated[
        str | None, typer.Option(help="Candidates to choose from, as a,b,c; all with a card.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Take outcomes of these sources only, as a,b; where sources overlap."),
    ] = None,
    exclude_questions: Annotated[
        Path | None, typer.Option(help="Task set (JSON) whose questions are left out.")
    ] = None,
    training_questions: Annotated[
        Path | None, typer.Option(help="Questions to choose best single and best per task on.")
    ] = None,
    training_outcomes: Annotated[
        Path | None, typer.Option(help="Their outcomes; without them the choice is hindsight.")
    ] = None,
    embed_model: Annotated[
        str | None,
        typer.Option(
            help="Sentence encoder (directory or hub id) for the learned baselines (kNN, ridge, "
            "...), which the training tables train; without it the simple ones only."
        ),
    ] = None,
    zoo: Annotated[
        Path | None, typer.Option(help="Zoo file whose prices give the cost-quality curve.")
    ] = None,
    candidates_table: Annotated[
        Path | None, typer.Option(help="Candidates table with prices or sizes, in its place.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
) -> None:
    """Judge a router; candidates and questions may be ones it never saw in training."""
    from modelsat.aptitude.tasks import load_tasks
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.evaluation.baselines.tuning import embedder
    from modelsat.evaluation.evaluate import evaluate_router
    from modelsat.evaluation.report import write_report
    from modelsat.routing.costs import load_costs
    from modelsat.routing.scoring import Scorer
    from modelsat.training.data import load_matrix

    _check_options(training_questions, training_outcomes, embed_model)
    scorer = Scorer.load(router)
    names = candidates.split(",") if candidates else None
    chosen = select_cards(read_cards(cards, scorer.tasks_hashes), names)
    sources = source.split(",") if source else None
    excluded = load_tasks(exclude_questions).question_ids if exclude_questions else ()
    matrix = load_matrix([questions], outcomes, chosen, sources=sources, exclude_questions=excluded)
    training = None
    if training_questions is not None and training_outcomes is not None:
        training = load_matrix(
            [training_questions],
            training_outcomes,
            chosen,
            sources=sources,
            exclude_questions=(*excluded, *matrix.question_ids),
        )
    result = evaluate_router(
        scorer,
        matrix,
        training,
        embed=embedder(embed_model) if embed_model is not None else None,
        costs=load_costs(matrix.candidates, zoo=zoo, candidates_table=candidates_table),
    )
    write_report(result, report)
    _print_result(result, report, as_json)


def _check_options(questions: Path | None, outcomes: Path | None, embed_model: str | None) -> None:
    if (questions is None) != (outcomes is None):
        raise ConfigError("give --training-questions and --training-outcomes together")
    if embed_model is not None and questions is None:
        raise ConfigError(
            "--embed-model is for baselines that learn; give --training-questions and "
            "--training-outcomes too"
        )


def _print_result(result: dict[str, Any], report: Path, as_json: bool) -> None:
    from modelsat.evaluation.report import policy_rows

    if as_json:
        print_json(result)
        return
    print_table(
        [
            {"policy": row["name"], "correct": f"{row['accuracy']:.1%}", "detail": row["detail"]}
            for row in policy_rows(result)
        ]
    )
    typer.echo(f"{result['n_questions']} questions; report in {report / 'report.html'}")
