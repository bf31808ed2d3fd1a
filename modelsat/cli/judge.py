"""``modelsat judge``: another model grades stored answers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.artifacts.hashing import content_hash
from modelsat.cli.output import AsJson, check_output, print_json
from modelsat.errors import ArtifactError, GradingError
from modelsat.grading.grade import JUDGE

if TYPE_CHECKING:
    from modelsat.cli.live_candidate import LiveCandidate

_PIECE = 32  # answers between two writes of the journal
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
    from modelsat.grading.judging import DEFAULT_RUBRIC, agreement

    check_output(out, outcomes, questions, rubric)
    text = _read_rubric(rubric) if rubric is not None else DEFAULT_RUBRIC
    known = {row["question_id"]: row for row in read_table(QUESTIONS, questions).to_pylist()}
    rows = read_table(OUTCOMES, outcomes).to_pylist()
    asked = _to_judge(rows, known, None if allow_itself else name)
    live = find_live_candidate(name, zoo, url, key_env)
    journal = out.with_name(f"{out.name}.judgements.jsonl")
    fields = {"temperature": 0.0, "max_tokens": max_new_tokens}
    before = [row["correct"] for row in asked]
    asking = _Asking(live, known, text, fields, timeout_s)
    _judge_all(asked, asking, journal)
    judged = [i for i, row in enumerate(asked) if row["failure"] is None]
    num_failed = len(asked) - len(judged)
    if num_failed > _MAX_FAILED_FRACTION * len(asked):
        raise GradingError(
            f"{name!r} gave no score for {num_failed} of {len(asked)} answers; its replies are in "
            f"{journal}: give a larger --max-new-tokens or another judge, delete the file, and run "
            "again"
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


@dataclass(frozen=True)
class _Asking:
    """What changes a judge's reply, besides the answer.

    Attributes:
        live: the judge.
        known: questions by id.
        rubric: what scores mean.
        fields: fields of each request.
        timeout_s: read timeout of a request.
    """

    live: "LiveCandidate"
    known: dict[str, Row]
    rubric: str
    fields: dict[str, Any]
    timeout_s: float

    def chats(self, row: Row) -> list[list[dict[str, str]]]:
        """Return the chats that ask for a grade of an answer."""
        from modelsat.grading.judging import judge_chats

        return judge_chats(self.known[row["question_id"]], row["output"], self.rubric)

    def key(self, row: Row) -> str:
        """Return a hash of everything that is asked, and of the judge."""
        judge = [self.live.base_url, self.live.model, self.fields]
        return content_hash([*judge, self.chats(row)])


def _judge_all(rows: Sequence[Row], asking: _Asking, journal: Path) -> None:
    """Put the judge's grades into the rows; chats whose replies are in the journal are not sent."""
    from modelsat.grading.judging import read_judgement

    journal.parent.mkdir(parents=True, exist_ok=True)
    said = dict(_read_journal(journal))
    keys = [asking.key(row) for row in rows]
    missing = [row for row, key in zip(rows, keys, strict=True) if key not in said]
    for start in range(0, len(missing), _PIECE):
        piece = missing[start : start + _PIECE]
        chats = [asking.chats(row) for row in piece]
        replies = iter(
            asking.live.ask_all(
                [chat for own in chats for chat in own],
                fields=asking.fields,
                timeout_s=asking.timeout_s,
            )
        )
        with journal.open("a", encoding="utf-8") as file:
            for row, own in zip(piece, chats, strict=True):
                said[asking.key(row)] = [_utf8(next(replies)) for _ in own]
                # On a line of its own, also after one that a killed run has left unfinished.
                file.write("\n" + json.dumps([asking.key(row), said[asking.key(row)]]))
    for row, key in zip(rows, keys, strict=True):
        judgement = read_judgement(said[key])
        row["judgement"] = judgement.text
        row["grader"] = JUDGE
        row["correct"] = judgement.score
        row["failure"] = None if judgement.score is not None else "failed: no score in the reply"


def _utf8(reply: str | None) -> str | None:
    return None if reply is None else reply.encode("utf-8", "replace").decode()


def _read_journal(path: Path) -> Iterator[tuple[str, list[str | None]]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            key, replies = json.loads(line)
        except (ValueError, TypeError):  # empty, or the last line of a run that was killed
            continue
        if isinstance(key, str) and isinstance(replies, list):
            yield key, replies


def _read_rubric(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read the rubric {path}: {error}") from None
