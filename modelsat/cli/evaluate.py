"""``modelsat evaluate``: judge a router on questions with known outcomes."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import print_json, print_table


def evaluate(
    router: Annotated[Path, typer.Option(help="Router directory.")],
    cards: Annotated[Path, typer.Option(help="Cards (parquet).")],
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the candidates (parquet).")],
    report: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    candidates: Annotated[
        str | None, typer.Option(help="Candidates to choose from, as a,b,c; all with a card.")
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
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
) -> None:
    """Judge a router; candidates and questions may be ones it never saw in training."""
    from modelsat.aptitude.tasks import load_tasks
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_table
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.errors import ConfigError
    from modelsat.evaluation.evaluate import evaluate_router
    from modelsat.evaluation.report import policy_rows, write_report
    from modelsat.routing.scoring import Scorer
    from modelsat.training.data import build_matrix

    if (training_questions is None) != (training_outcomes is None):
        raise ConfigError("give --training-questions and --training-outcomes together")
    scorer = Scorer.load(router)
    names = candidates.split(",") if candidates else None
    chosen = select_cards(read_cards(cards, scorer.tasks_hash), names)
    excluded = load_tasks(exclude_questions).question_ids if exclude_questions else ()
    matrix = build_matrix(
        read_table(QUESTIONS, questions),
        read_table(OUTCOMES, outcomes),
        chosen,
        exclude_questions=excluded,
    )
    training = None
    if training_questions is not None and training_outcomes is not None:
        training = build_matrix(
            read_table(QUESTIONS, training_questions),
            read_table(OUTCOMES, training_outcomes),
            chosen,
            exclude_questions=(*excluded, *matrix.question_ids),
        )
    result = evaluate_router(scorer, matrix, training)
    write_report(result, report)
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
