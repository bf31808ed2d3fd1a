"""``modelsat evaluate``: judge a router on questions with known outcomes."""

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
    load_scorer_and_matrix,
    names_of,
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
            help="Routing log of an endpoint (file or folder): judge what it decided, in place "
            "of a router; --questions may tell the tasks."
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
    """Judge a router, or an endpoint's log; candidates and questions may be new to the router.

    Beside the policies stand the method's own experiments: whether the cards show the strengths
    that the answers show, whether the encoder earns its place (needs the learned baselines), and
    whether new candidates are judged as well as known ones (needs --new).
    """
    beside = _Beside(
        source, training_questions, training_outcomes, embed_model, zoo, candidates_table
    )
    if routing_log is not None:
        if any_test or any(option is not None for option in (router, exclude_questions, new)):
            raise ConfigError(
                "--routing-log stands in place of --router, and all its questions are judged; "
                "leave out --router, --exclude-questions, --new and --any-test"
            )
        judged = _judge_log(routing_log, cards, outcomes, questions, candidates, beside)
        _report_log(judged, report, as_json)
        return
    if router is None or questions is None:
        raise ConfigError("give --router and --questions, or --routing-log of an endpoint")
    result = _judge_router(
        router,
        cards,
        questions,
        outcomes,
        candidates=candidates,
        excluded=questions_of(exclude_questions),
        new=names_of(new) or (),
        any_test=any_test,
        beside=beside,
    )
    _report_router(result, report, as_json)


@dataclass(frozen=True)
class _Beside:
    """What a router is set beside, as named on the command line."""

    source: str | None
    training_questions: Path | None
    training_outcomes: Path | None
    embed_model: str | None
    zoo: Path | None
    candidates_table: Path | None

    def __post_init__(self) -> None:
        if (self.training_questions is None) != (self.training_outcomes is None):
            raise ConfigError("give --training-questions and --training-outcomes together")
        if self.embed_model is not None and self.training_questions is None:
            raise ConfigError(
                "--embed-model is for baselines that learn; give --training-questions and "
                "--training-outcomes too"
            )

    def training(self, cards: "Sequence[Card]", excluded: Sequence[str]) -> "OutcomeMatrix | None":
        """Outcomes to choose and train baselines on."""
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
        """What embeds instructions for the learned baselines."""
        from modelsat.evaluation.baselines.tuning import embedder

        return embedder(self.embed_model) if self.embed_model is not None else None

    def costs(self, names: Sequence[str]) -> "CandidateCosts | None":
        """Costs of the candidates."""
        from modelsat.routing.costs import load_costs

        return load_costs(names, zoo=self.zoo, candidates_table=self.candidates_table)


def _judge_router(
    router: Path,
    cards: Path,
    questions: Path,
    outcomes: Path,
    *,
    candidates: str | None,
    excluded: Sequence[str],
    new: Sequence[str],
    any_test: bool,
    beside: _Beside,
) -> dict[str, Any]:
    from modelsat.evaluation.evaluate import evaluate_router

    scorer, matrix = load_scorer_and_matrix(
        router,
        cards,
        questions,
        outcomes,
        candidates=candidates,
        source=beside.source,
        excluded=excluded,
        any_test=any_test,
    )
    return evaluate_router(
        scorer,
        matrix,
        beside.training(matrix.cards, (*excluded, *matrix.question_ids)),
        new=new,
        embed=beside.embed(),
        costs=beside.costs(matrix.candidates),
    )


def _judge_log(
    routing_log: Path,
    cards: Path,
    outcomes: Path,
    questions: Path | None,
    candidates: str | None,
    beside: _Beside,
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
        filter_sources(known, names_of(beside.source), origin=str(outcomes)),
        chosen,
        None if questions is None else read_table(QUESTIONS, questions),
        beside.training(chosen, log.question_ids),
        embed=beside.embed(),
        costs=beside.costs([card.candidate for card in chosen]),
    )


def _report_router(result: dict[str, Any], report: Path, as_json: bool) -> None:
    from modelsat.evaluation.report import write_report

    write_report(result, report)
    if as_json:
        print_json(result)
    else:
        _print_policies(result, report)


def _report_log(judged: "LoggedReport", report: Path, as_json: bool) -> None:
    from modelsat.artifacts.store import write_json
    from modelsat.evaluation.report import write_report

    write_json(report / "decisions.json", judged.decisions)
    if judged.comparison is not None:
        write_report(judged.comparison, report)
    if as_json:
        print_json({"decisions": judged.decisions, "comparison": judged.comparison})
        return
    _print_decisions(judged.decisions)
    if judged.comparison is not None:
        _print_policies(judged.comparison, report)
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
            f"stated P(correct) {calibration['mean_stated']:.1%}: calibration error "
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
    from modelsat.evaluation.report import policy_rows
    from modelsat.evaluation.signs import Sign

    print_table(
        [
            {"policy": row["name"], "correct": f"{row['accuracy']:.1%}", "detail": row["detail"]}
            for row in policy_rows(result)
        ]
    )
    print_signs([Sign(**one) for one in result["experiments"]])
    typer.echo(f"{result['n_questions']} questions; report in {report / 'report.html'}")
