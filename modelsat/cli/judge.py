"""``modelsat judge``: another model grades stored answers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.cli.output import AsJson, check_output, print_json
from modelsat.errors import ArtifactError, GradingError

_MAX_FAILED_FRACTION = 0.05
Row = dict[str, Any]


def judge(
    name: Annotated[str, typer.Argument(metavar="JUDGE", help="Model that grades.")],
    questions: Annotated[Path, typer.Option(help="Questions table; answers are references.")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes table with answers (parquet).")],
    out: Annotated[Path, typer.Option(help="Outcomes to write, with the judge's grades.")],
    zoo: Annotated[Path | None, typer.Option(help="Zoo file with the judge's URL.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Endpoint that serves the judge, instead of --zoo.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the API key.")
    ] = None,
    rubric: Annotated[
        Path | None, typer.Option(help="Text file: what scores from 0 to 10 mean.")
    ] = None,
    allow_itself: Annotated[
        bool, typer.Option("--allow-itself", help="Let the judge grade its own answers.")
    ] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum tokens of a reply.")] = 512,
    timeout_s: Annotated[
        float, typer.Option(min=1, max=86_400, help="Read timeout of a request.")
    ] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Grade answers by another model, for questions whose answers no program can check.

    The judge sees no names. With a reference it is asked twice, in either order. What it has said
    is kept beside --out, so that the same command goes on after an interruption.
    """
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_manifest, read_table, write_table
    from modelsat.cli.live_candidate import find_live_candidate
    from modelsat.grading.judge import Judge, read_rubric
    from modelsat.grading.judging import DEFAULT_RUBRIC, agreement

    check_output(out, outcomes, questions, rubric)
    text = read_rubric(rubric) if rubric is not None else DEFAULT_RUBRIC
    known = {row["question_id"]: row for row in read_table(QUESTIONS, questions).to_pylist()}
    rows = read_table(OUTCOMES, outcomes).to_pylist()
    asked = _to_judge(rows, known, None if allow_itself else name)
    live = find_live_candidate(name, zoo, url, key_env)
    journal = out.with_name(f"{out.name}.judgements.jsonl")
    fields = {"temperature": 0.0, "max_tokens": max_new_tokens}
    before = [row["correct"] for row in asked]
    model = Judge(
        ask=partial(live.ask_all, fields=fields, timeout_s=timeout_s),
        identity=[live.base_url, live.model, fields],
        journal=journal,
        rubric=text,
    )
    judgements = model.grade([(known[row["question_id"]], row["output"]) for row in asked])
    for row, judgement in zip(asked, judgements, strict=True):
        row.update(judgement.stored())
    judged = [i for i, row in enumerate(asked) if row["failure"] is None]
    num_failed = len(asked) - len(judged)
    if num_failed > _MAX_FAILED_FRACTION * len(asked):
        raise GradingError(
            f"{name!r} gave no score for {num_failed} of {len(asked)} answers; its replies are in "
            f"{journal}: give a larger --max-new-tokens or another judge, and run again"
        )
    pairs = [(asked[i]["correct"], before[i]) for i in judged if before[i] is not None]
    agreeing = agreement(*zip(*pairs, strict=True)) if pairs else None
    manifest = {**read_manifest(outcomes), "judge": name, "agreement_fraction": agreeing}
    write_table(OUTCOMES, asked, out, manifest)
    facts = {
        "outcomes": str(out),
        "num_judged": len(judged),
        "num_failed": num_failed,
        "num_left_out": len(rows) - len(asked),
        "agreement_fraction": agreeing,
    }
    if as_json:
        print_json(facts)
        return
    agreed = "" if agreeing is None else f"; agrees with {agreeing:.1%} of the grades before"
    typer.echo(
        f"{out}: {len(judged)} answers graded by {name}, {num_failed} without a score, "
        f"{facts['num_left_out']} left out{agreed}"
    )


def _to_judge(rows: Sequence[Row], known: dict[str, Row], judge: str | None) -> list[Row]:
    """Return the rows with an answer to a known question, without those of the judge itself."""
    found = [
        row
        for row in rows
        if row["output"] is not None and row["question_id"] in known and row["candidate"] != judge
    ]
    if not found:
        raise ArtifactError(
            "no outcome holds an answer to a question of the table, other than the judge's own"
        )
    return found
