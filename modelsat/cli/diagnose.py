"""``modelsat diagnose``: the signs by which a router fails, and their likely causes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import print_json, print_table

if TYPE_CHECKING:
    import pyarrow as pa

_VERDICTS = {True: "FAULT", False: "fine", None: "not measured"}


def diagnose(
    router: Annotated[Path, typer.Option(help="Router directory.")],
    cards: Annotated[Path, typer.Option(help="Cards (parquet).")],
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[
        Path, typer.Option(help="Outcomes (parquet); their latency_s, if any, times the zoo.")
    ],
    candidates: Annotated[
        str | None, typer.Option(help="The zoo, as a,b,c; all with a card.")
    ] = None,
    new: Annotated[
        str | None, typer.Option(help="Candidates the router was not trained on, as a,b.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Take outcomes of these sources only, as a,b; where sources overlap."),
    ] = None,
    exclude_questions: Annotated[
        Path | None, typer.Option(help="Task set (JSON) whose questions are left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name near-uniform scores, one fixed choice, bad new candidates and slow routing.

    Ends with exit code 1 when one of them is a fault.
    """
    from modelsat.aptitude.tasks import load_tasks
    from modelsat.artifacts.schemas import OUTCOMES
    from modelsat.artifacts.store import read_table
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.evaluation.diagnosis import diagnose as find_signs
    from modelsat.routing.scoring import Scorer
    from modelsat.training.data import load_matrix, of_sources

    scorer = Scorer.load(router)
    names = candidates.split(",") if candidates else None
    sources = source.split(",") if source else None
    matrix = load_matrix(
        [questions],
        outcomes,
        select_cards(read_cards(cards, scorer.tasks_hashes), names),
        sources=sources,
        exclude_questions=load_tasks(exclude_questions).question_ids if exclude_questions else (),
    )
    rows = of_sources(read_table(OUTCOMES, outcomes), sources, origin=str(outcomes))
    signs = find_signs(
        scorer,
        matrix,
        new=new.split(",") if new else (),
        latency_s=_median_latency_s(rows, matrix.candidates),
    )
    if as_json:
        print_json({"signs": [asdict(sign) for sign in signs]})
    else:
        print_table(
            [
                {"sign": sign.name, "verdict": _VERDICTS[sign.is_fault], "found": sign.finding}
                for sign in signs
            ]
        )
        for sign in signs:
            if sign.is_fault:
                typer.echo(f"{sign.name}: {sign.likely_cause}")
    if any(sign.is_fault for sign in signs):
        raise typer.Exit(1)


def _median_latency_s(outcomes: "pa.Table", candidates: tuple[str, ...]) -> dict[str, float]:
    import pyarrow.compute as pc

    timed = outcomes.filter(pc.is_valid(outcomes["latency_s"]))
    grouped = timed.group_by("candidate").aggregate([("latency_s", "approximate_median")])
    medians = {row["candidate"]: row["latency_s_approximate_median"] for row in grouped.to_pylist()}
    return {name: medians[name] for name in candidates if name in medians}
