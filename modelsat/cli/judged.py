"""Common options of ``evaluate`` and ``diagnose``, and loading the files that they name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import print_table

if TYPE_CHECKING:
    import pyarrow as pa

    from modelsat.evaluation.signs import Sign
    from modelsat.outcomes.matrix import OutcomeMatrix
    from modelsat.routing.scoring import Scorer

Router = Annotated[Path, typer.Option(help="Router directory.")]
Cards = Annotated[Path, typer.Option(help="Cards (parquet).")]
Questions = Annotated[Path, typer.Option(help="Questions table (parquet).")]
Candidates = Annotated[
    str | None, typer.Option(help="Candidates to choose from, as a,b,c; default: all with a card.")
]
New = Annotated[str | None, typer.Option(help="Candidates the router was not trained on, as a,b.")]
AnyTest = Annotated[
    bool,
    typer.Option(
        "--any-test",
        help="Accept cards of an aptitude test that the router was not trained on; its "
        "questions may be harder or easier, which shifts the probabilities.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(help="Use only outcomes of these sources, as a,b; needed if they overlap."),
]
ExcludeQuestions = Annotated[
    Path | None, typer.Option(help="Task set (JSON) whose questions are excluded.")
]


def names_of(listing: str | None) -> list[str] | None:
    """Split ``a,b,c`` into names; None if empty or None."""
    return listing.split(",") if listing else None


def load_scorer_and_outcomes(
    router: Path,
    cards: Path,
    questions: Path,
    outcomes: Path,
    *,
    candidates: str | None,
    source: str | None,
    excluded: Sequence[str],
    any_test: bool = False,
) -> "tuple[Scorer, OutcomeMatrix, pa.Table]":
    """Load the router, join the tables over the candidates, and report excluded rows.

    Args:
        router: router directory.
        cards: cards artifact.
        questions: questions table.
        outcomes: outcomes table.
        candidates: names, as a,b,c; None selects all with a card.
        source: sources of outcomes, as a,b; None selects all.
        excluded: ids of excluded questions.
        any_test: whether cards may come from an aptitude test that the router was not trained on.

    Returns:
        The router, the joined outcomes, and the outcomes table of these sources.

    Raises:
        ModelSatError: a file is missing, malformed or does not match the others.
        ZooError: there is only one candidate.
    """
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_table
    from modelsat.capability.cards import check_same_tasks, read_cards, select_cards
    from modelsat.errors import ZooError
    from modelsat.outcomes.joining import build_matrix, filter_sources
    from modelsat.outcomes.left_out import count_left_out, with_text
    from modelsat.routing.scoring import Scorer

    found = read_cards(cards)
    tests = {card.tasks_hash for card in found.values()} if any_test else ()
    # In float32, so that figures are the same on every processor.
    scorer = Scorer.load(router, dtype="float32", also_reads=tests)
    check_same_tasks(tuple(found.values()), scorer.tasks_hashes, source=str(cards))
    chosen = select_cards(found, names_of(candidates))
    if len(chosen) < 2:
        raise ZooError("routing needs at least two candidates; pass cards of at least two")
    table = read_table(QUESTIONS, questions)
    rows = filter_sources(read_table(OUTCOMES, outcomes), names_of(source), origin=str(outcomes))
    left_out = count_left_out(table, rows, found, exclude_questions=excluded).text()
    if left_out:
        typer.echo(f"left out: {left_out}", err=True)
    matrix = build_matrix(with_text(table), rows, chosen, exclude_questions=excluded)
    return scorer, matrix, rows


def print_policies(report: Mapping[str, Any]) -> None:
    """Print router and baselines of an evaluation report with their accuracies."""
    from modelsat.evaluation.report import policy_rows

    print_table(
        [
            {"policy": row["name"], "correct": f"{row['accuracy']:.1%}", "detail": row["detail"]}
            for row in policy_rows(report)
        ]
    )


def print_signs(signs: "Sequence[Sign]") -> None:
    """Print each sign and its finding, then the likely cause of every fault."""
    from modelsat.evaluation.signs import verdict

    print_table(
        [
            {"sign": sign.name, "verdict": verdict(sign.is_fault), "found": sign.finding}
            for sign in signs
        ]
    )
    for sign in signs:
        if sign.is_fault:
            typer.echo(f"{sign.name}: {sign.likely_cause}")


def questions_of(tasks: Path | None) -> tuple[str, ...]:
    """Return the question ids of a task set file; empty without a file."""
    from modelsat.aptitude.tasks import load_tasks

    return load_tasks(tasks).question_ids if tasks is not None else ()
