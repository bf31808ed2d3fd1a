"""``modelsat diagnose``: check a router for signs of failure and name likely causes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.judged import (
    AnyTest,
    Candidates,
    Cards,
    ExcludeQuestions,
    New,
    Questions,
    Router,
    Source,
    load_scorer_and_outcomes,
    names_of,
    print_signs,
    questions_of,
)
from modelsat.cli.output import AsJson, print_json

if TYPE_CHECKING:
    import pyarrow as pa


def diagnose(
    router: Router,
    cards: Cards,
    questions: Questions,
    outcomes: Annotated[
        Path, typer.Option(help="Outcomes (parquet); latency_s, if present, is the answer time.")
    ],
    candidates: Candidates = None,
    new: New = None,
    any_test: AnyTest = False,
    source: Source = None,
    exclude_questions: ExcludeQuestions = None,
    as_json: AsJson = False,
) -> None:
    """Check for near-uniform scores, a single fixed choice, bad new candidates and slow routing.

    Exits with code 1 if there is a fault.
    """
    from modelsat.evaluation.diagnosis import diagnose as find_signs

    scorer, matrix, rows = load_scorer_and_outcomes(
        router,
        cards,
        questions,
        outcomes,
        candidates=candidates,
        source=source,
        excluded=questions_of(exclude_questions),
        any_test=any_test,
    )
    signs = find_signs(
        scorer,
        matrix,
        new=names_of(new) or (),
        latency_s=_median_latency_s(rows, matrix.candidates),
    )
    if as_json:
        print_json({"signs": [asdict(sign) for sign in signs]})
    else:
        print_signs(signs)
    if any(sign.is_fault for sign in signs):
        raise typer.Exit(1)


def _median_latency_s(outcomes: "pa.Table", candidates: tuple[str, ...]) -> dict[str, float]:
    import pyarrow.compute as pc

    timed = outcomes.filter(pc.is_valid(outcomes["latency_s"]))
    grouped = timed.group_by("candidate").aggregate([("latency_s", "approximate_median")])
    medians = {row["candidate"]: row["latency_s_approximate_median"] for row in grouped.to_pylist()}
    return {name: medians[name] for name in candidates if name in medians}
