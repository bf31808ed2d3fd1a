"""What the commands that judge a router share: their options, and reading what these name."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import print_table

if TYPE_CHECKING:
    from modelsat.evaluation.signs import Sign
    from modelsat.outcomes.matrix import OutcomeMatrix
    from modelsat.routing.scoring import Scorer

Router = Annotated[Path, typer.Option(help="Router directory.")]
Cards = Annotated[Path, typer.Option(help="Cards (parquet).")]
Questions = Annotated[Path, typer.Option(help="Questions table (parquet).")]
Candidates = Annotated[
    str | None, typer.Option(help="Candidates to choose from, as a,b,c; all with a card.")
]
New = Annotated[str | None, typer.Option(help="Candidates the router was not trained on, as a,b.")]
AnyTest = Annotated[
    bool,
    typer.Option(
        "--any-test",
        help="Take cards of an aptitude test that the router was not trained to read; its "
        "questions may be harder or easier, which shifts the probabilities.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(help="Take outcomes of these sources only, as a,b; where sources overlap."),
]
ExcludeQuestions = Annotated[
    Path | None, typer.Option(help="Task set (JSON) whose questions are left out.")
]


def names_of(listing: str | None) -> list[str] | None:
    """The names in ``a,b,c``; None where none is given."""
    return listing.split(",") if listing else None


def load_scorer_and_matrix(
    router: Path,
    cards: Path,
    questions: Path,
    outcomes: Path,
    *,
    candidates: str | None,
    source: str | None,
    excluded: Sequence[str],
    any_test: bool = False,
) -> "tuple[Scorer, OutcomeMatrix]":
    """Load the router, join the tables over the chosen candidates, and say what is left out.

    Args:
        router: router directory.
        cards: cards artifact.
        questions: questions table.
        outcomes: outcomes table.
        candidates: their names, as a,b,c; None takes all with a card.
        source: sources of the outcomes to take, as a,b; None takes all.
        excluded: ids of questions to leave out.
        any_test: cards may be of one aptitude test that the router was not trained to read.

    Raises:
        ModelSatError: a file is missing, malformed or does not fit the others.
        ZooError: there is but one candidate.
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
    scorer = Scorer.load(router, also_reads=tests)
    check_same_tasks(tuple(found.values()), scorer.tasks_hashes, source=str(cards))
    chosen = select_cards(found, names_of(candidates))
    if len(chosen) < 2:
        raise ZooError("one candidate leaves nothing to choose between; give cards of at least two")
    asked = read_table(QUESTIONS, questions)
    rows = filter_sources(read_table(OUTCOMES, outcomes), names_of(source), origin=str(outcomes))
    left_out = count_left_out(asked, rows, found, exclude_questions=excluded).text()
    if left_out:
        typer.echo(f"left out: {left_out}", err=True)
    return scorer, build_matrix(with_text(asked), rows, chosen, exclude_questions=excluded)


def print_signs(signs: "Sequence[Sign]") -> None:
    """What was looked at and found, then the likely cause of every fault."""
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
    """Question ids of a task set file; none where no file is given."""
    from modelsat.aptitude.tasks import load_tasks

    return load_tasks(tasks).question_ids if tasks is not None else ()
