"""``modelsat route``: which candidate would answer an instruction."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import print_json, print_table


def route(
    instruction: Annotated[str, typer.Argument(help="What a user would ask.")],
    router: Annotated[Path, typer.Option(help="Router directory.")],
    cards: Annotated[Path, typer.Option(help="Cards (parquet).")],
    candidates: Annotated[
        str | None, typer.Option(help="Candidates to choose from, as a,b,c; all with a card.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score every candidate on an instruction and name the best; nothing is generated."""
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.routing.policy import choose_best
    from modelsat.routing.scoring import Scorer

    scorer = Scorer.load(router)
    names = candidates.split(",") if candidates else None
    chosen = select_cards(read_cards(cards, scorer.tasks_hash), names)
    scores = scorer.score([instruction], chosen)[0]
    decision = choose_best(
        {card.candidate: float(score) for card, score in zip(chosen, scores, strict=True)}
    )
    if as_json:
        print_json(vars(decision))
        return
    ranked = sorted(decision.scores.items(), key=lambda item: -item[1])
    print_table([{"candidate": name, "p_correct": f"{score:.3f}"} for name, score in ranked])
    typer.echo(f"route to {decision.candidate} ({decision.reason})")
