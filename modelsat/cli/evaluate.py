"""``modelsat evaluate``: judge a router on questions with known outcomes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.cli.judged import (
    Candidates,
    Cards,
    ExcludeQuestions,
    Questions,
    Router,
    Source,
    load_scorer_and_matrix,
    names_of,
    questions_of,
)
from modelsat.cli.output import print_json, print_table
from modelsat.errors import ConfigError


def evaluate(
    router: Router,
    cards: Cards,
    questions: Questions,
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the candidates (parquet).")],
    report: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    candidates: Candidates = None,
    source: Source = None,
    exclude_questions: ExcludeQuestions = None,
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
    from modelsat.evaluation.baselines.tuning import embedder
    from modelsat.evaluation.evaluate import evaluate_router
    from modelsat.evaluation.report import write_report
    from modelsat.routing.costs import load_costs
    from modelsat.training.data import load_matrix

    _check_options(training_questions, training_outcomes, embed_model)
    excluded = questions_of(exclude_questions)
    scorer, matrix = load_scorer_and_matrix(
        router,
        cards,
        questions,
        outcomes,
        candidates=candidates,
        source=source,
        excluded=excluded,
    )
    training = None
    if training_questions is not None and training_outcomes is not None:
        training = load_matrix(
            [training_questions],
            training_outcomes,
            matrix.cards,
            sources=names_of(source),
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
