"""``modelsat route``: which candidate would answer an instruction."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.constraint_options import constraint_options
from modelsat.cli.output import AsJson, print_json, print_table
from modelsat.errors import ConfigError, ZooError
from modelsat.routing.constraints import UNCONSTRAINED, Constraints

if TYPE_CHECKING:
    from modelsat.routing.choice import RoutingDecision
    from modelsat.routing.costs import CandidateCosts


@constraint_options
def route(
    instruction: Annotated[str, typer.Argument(help="The user's prompt.")],
    router: Annotated[Path, typer.Option(help="Router directory.")],
    cards: Annotated[Path, typer.Option(help="Cards (parquet).")],
    candidates: Annotated[
        str | None, typer.Option(help="Candidates to score, as a,b,c; all with a card.")
    ] = None,
    zoo: Annotated[Path | None, typer.Option(help="Zoo file (YAML) with prices.")] = None,
    candidates_table: Annotated[
        Path | None, typer.Option(help="Candidates table (parquet) with prices or params_b.")
    ] = None,
    as_json: AsJson = False,
    constraints: Constraints = UNCONSTRAINED,
) -> None:
    """Score every candidate on an instruction and choose one; nothing is generated."""
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.routing.choice import choose
    from modelsat.routing.costs import load_costs
    from modelsat.routing.scoring import Scorer

    if constraints.needs_costs and zoo is None and candidates_table is None:
        raise ConfigError(
            "--tolerance and --max-cost compare costs, but no costs are given; add --zoo FILE or "
            "--candidates-table FILE"
        )
    scorer = Scorer.load(router)
    names = candidates.split(",") if candidates else None
    chosen = select_cards(read_cards(cards, scorer.tasks_hashes), names)
    scored = [card.candidate for card in chosen]
    _check_models(constraints, scored)
    costs = load_costs(scored, zoo=zoo, candidates_table=candidates_table)
    scores = [float(score) for score in scorer.score([instruction], chosen)[0]]
    decision = choose(
        dict(zip(scored, scores, strict=True)), constraints, costs.by_candidate if costs else {}
    )
    _print_decision(decision, costs, as_json)


def _check_models(constraints: Constraints, names: list[str]) -> None:
    from modelsat.routing.admission import matching

    for pattern in constraints.models or ():
        if not matching(names, [pattern]):
            raise ZooError(f"--models {pattern!r} matches no candidate of {', '.join(names)}")


def _print_decision(
    decision: "RoutingDecision", costs: "CandidateCosts | None", as_json: bool
) -> None:
    scores = {
        name: score if math.isfinite(score) else None for name, score in decision.scores.items()
    }
    if as_json:
        priced = {"cost_unit": costs.unit, "costs": costs.by_candidate} if costs else {}
        print_json({**vars(decision), "scores": scores, **priced})
        return
    rows = []
    ranked = sorted(scores.items(), key=lambda item: -1 if item[1] is None else item[1])
    for name, score in reversed(ranked):
        row = {"candidate": name, "p_correct": None if score is None else f"{score:.3f}"}
        rows.append({**row, "cost": costs.by_candidate[name]} if costs else row)
    print_table(rows)
    if costs:
        unknown = f"; unknown for {', '.join(costs.unknown)}" if costs.unknown else ""
        typer.echo(f"cost in {costs.description}{unknown}")
    typer.echo(f"route to {decision.candidate} ({decision.reason})")
