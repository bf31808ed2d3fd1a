"""``modelsat evaluate``: evaluate a router on questions with known outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.judged import (
    AnyTest,
    Candidates,
    Cards,
    ExcludeQuestions,
    New,
    Source,
    load_scorer_and_outcomes,
    names_of,
    print_policies,
    print_signs,
    questions_of,
)
from modelsat.cli.output import print_json, print_table
from modelsat.errors import ConfigError

if TYPE_CHECKING:
    from modelsat.capability.cards import Card
    from modelsat.evaluation.baselines.tuning import Embed
    from modelsat.evaluation.logged import LoggedReport
    from modelsat.outcomes.matrix import OutcomeMatrix
    from modelsat.routing.costs import CandidateCosts


def evaluate(
    cards: Cards,
    outcomes: Annotated[Path, typer.Option(help="Outcomes of the candidates (parquet).")],
    report: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    router: Annotated[Path | None, typer.Option(help="Router directory.")] = None,
    questions: Annotated[Path | None, typer.Option(help="Questions table (parquet).")] = None,
    routing_log: Annotated[
        Path | None,
        typer.Option(
            help="Routing log of an endpoint (file or folder) to evaluate instead of a router; "
            "--questions may supply the tasks."
        ),
    ] = None,
    candidates: Candidates = None,
    source: Source = None,
    exclude_questions: ExcludeQuestions = None,
    new: New = None,
    any_test: AnyTest = False,
    training_questions: Annotated[
        Path | None, typer.Option(help="Questions to choose best single and best per task on.")
    ] = None,
    training_outcomes: Annotated[
        Path | None, typer.Option(help="Their outcomes; without them the choice is in hindsight.")
    ] = None,
    embed_model: Annotated[
        str | None,
        typer.Option(
            help="Sentence encoder (directory or hub id) for the learned baselines (kNN, ridge, "
            "...), which are fitted to the training tables; without it only simple baselines."
        ),
    ] = None,
    zoo: Annotated[
        Path | None, typer.Option(help="Zoo file with prices for the cost-quality curve.")
    ] = None,
    candidates_table: Annotated[
        Path | None, typer.Option(help="Candidates table with prices or sizes, instead of --zoo.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
) -> None:
    """Evaluate a router, or an endpoint's routing log; candidates and questions may be new.

    Besides the comparison with baselines, it runs the paper's experiments: whether cards show the
    strengths that the answers show, whether the encoder is worth its cost (needs the learned
    baselines), and whether new candidates are scored as well as known ones (needs --new).
    """
    comparison = _Comparison(
        source, training_questions, training_outcomes, embed_model, zoo, candidates_table
    )
    if routing_log is not None:
        if any_test or any(option is not None for option in (router, exclude_questions, new)):
            raise ConfigError(
                "--routing-log replaces --router and evaluates all its questions; "
                "omit --router, --exclude-questions, --new and --any-test"
            )
        logged = _evaluate_log(routing_log, cards, outcomes, questions, candidates, comparison)
        _report_log(logged, report, as_json)
        return
    if router is None or questions is None:
        raise ConfigError("pass --router and --questions, or --routing-log of an endpoint")
    result = _evaluate_router(
        router,
        cards,
        questions,
        outcomes,
        candidates=candidates,
        excluded=questions_of(exclude_questions),
        new=names_of(new) or (),
        any_test=any_test,
        comparison=comparison,
    )
    _report_router(result, report, as_json)


@dataclass(frozen=True)
class _Comparison:
    """Command-line options for the baselines and costs that a router is compared with."""

    source: str | None
    training_questions: Path | None
    training_outcomes: Path | None
    embed_model: str | None
    zoo: Path | None
    candidates_table: Path | None

    def __post_init__(self) -> None:
        if (self.training_questions is None) != (self.training_outcomes is None):
            raise ConfigError("pass --training-questions and --training-outcomes together")
        if self.embed_model is not None and self.training_questions is None:
            raise ConfigError(
                "--embed-model is for learned baselines; pass --training-questions and "
                "--training-outcomes too"
            )

    def training(self, cards: "Sequence[Card]", excluded: Sequence[str]) -> "OutcomeMatrix | None":
        """Load the outcomes to choose and fit baselines on."""
        from modelsat.outcomes.joining import load_matrix

        if self.training_questions is None or self.training_outcomes is None:
            return None
        return load_matrix(
            [self.training_questions],
            self.training_outcomes,
            cards,
            sources=names_of(self.source),
            exclude_questions=excluded,
        )

    def embed(self) -> "Embed | None":
        """Load the embedding function for the learned baselines."""
        from modelsat.evaluation.baselines.tuning import embedder

        return embedder(self.embed_model) if self.embed_model is not None else None

    def costs(self, names: Sequence[str]) -> "CandidateCosts | None":
        """Load the costs of the candidates."""
        from modelsat.routing.costs import load_costs

        return load_costs(names, zoo=self.zoo, candidates_table=self.candidates_table)


def _evaluate_router(
    router: Path,
    cards: Path,
    questions: Path,
    outcomes: Path,
    *,
    candidates: str | None,
    excluded: Sequence[str],
    new: Sequence[str],
    any_test: bool,
    comparison: _Comparison,
) -> dict[str, Any]:
    from modelsat.evaluation.evaluate import evaluate_router

    scorer, matrix, _ = load_scorer_and_outcomes(
        router,
        cards,
        questions,
        outcomes,
        candidates=candidates,
        source=comparison.source,
        excluded=excluded,
        any_test=any_test,
    )
    return evaluate_router(
        scorer,
        matrix,
        comparison.training(matrix.cards, (*excluded, *matrix.question_ids)),
        new=new,
        embed=comparison.embed(),
        costs=comparison.costs(matrix.candidates),
    )


def _evaluate_log(
    routing_log: Path,
    cards: Path,
    outcomes: Path,
    questions: Path | None,
    candidates: str | None,
    comparison: _Comparison,
) -> "LoggedReport":
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_table
    from modelsat.capability.cards import read_cards, select_cards
    from modelsat.evaluation.decision_log import read_routing_log
    from modelsat.evaluation.logged import evaluate_log
    from modelsat.outcomes.joining import filter_sources

    log = read_routing_log(routing_log)
    chosen = select_cards(read_cards(cards), names_of(candidates))
    known = read_table(OUTCOMES, outcomes)
    return evaluate_log(
        log,
        filter_sources(known, names_of(comparison.source), origin=str(outcomes)),
        chosen,
        None if questions is None else read_table(QUESTIONS, questions),
        comparison.training(chosen, log.question_ids),
        embed=comparison.embed(),
        costs=comparison.costs([card.candidate for card in chosen]),
    )


def _report_router(result: dict[str, Any], report: Path, as_json: bool) -> None:
    from modelsat.evaluation.report import write_report

    write_report(result, report)
    if as_json:
        print_json(result)
    else:
        _print_policies(result, report)


def _report_log(logged: "LoggedReport", report: Path, as_json: bool) -> None:
    from modelsat.artifacts.store import write_json
    from modelsat.evaluation.report import write_report

    write_json(report / "decisions.json", logged.decisions)
    if logged.comparison is not None:
        write_report(logged.comparison, report)
    if as_json:
        print_json({"decisions": logged.decisions, "comparison": logged.comparison})
        return
    _print_decisions(logged.decisions)
    if logged.comparison is not None:
        _print_policies(logged.comparison, report)
    else:
        typer.echo(
            "no comparison: no question has outcomes and logged scores of all candidates; "
            f"figures in {report / 'decisions.json'}"
        )


def _print_decisions(decisions: dict[str, Any]) -> None:
    accuracy, calibration = decisions["accuracy"], decisions["calibration"]
    typer.echo(
        f"{decisions['n_decisions']} decisions on {decisions['n_questions']} questions, "
        f"{decisions['n_graded']} with a known outcome"
    )
    if accuracy is not None:
        typer.echo(
            f"correct {accuracy['value']:.1%} ({accuracy['confidence']:.0%} interval "
            f"{accuracy['low']:.1%} to {accuracy['high']:.1%})"
        )
    if calibration is not None:
        typer.echo(
            f"mean logged P(correct) {calibration['mean_stated']:.1%}: calibration error "
            f"{calibration['ece']:.3f}, Brier score {calibration['brier']:.3f}"
        )
    print_table(
        [
            {"candidate": name, "share": f"{share:.1%}", **_outcome(decisions, name)}
            for name, share in decisions["shares"].items()
        ]
    )


def _outcome(decisions: dict[str, Any], candidate: str) -> dict[str, Any]:
    row = decisions["by_candidate"][candidate]
    correct = "-" if row["accuracy"] is None else f"{row['accuracy']:.1%}"
    return {"known": row["n_graded"], "correct": correct}


def _print_policies(result: dict[str, Any], report: Path) -> None:
    from modelsat.evaluation.signs import Sign

    print_policies(result)
    print_signs([Sign(**one) for one in result["experiments"]])
    typer.echo(f"{result['n_questions']} questions; report in {report / 'report.html'}")
