"""``modelsat grade`` and ``modelsat regrade``: grade stored answers."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.cli.output import AsJson, check_output, print_json, print_table
from modelsat.errors import ArtifactError, GradingError
from modelsat.grading.grade import Kind

_NEEDED = ("prompt", "answer", "output")
_TEXTS = ("output", "grader", "finish_reason", "expect")
_REFUSED = "refused"  # in place of a kind: the row cannot be graded


def grade(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help="Rows with prompt, answer, output; and grader, grader_args, n_choices, "
            "finish_reason, expect where they are known.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Grade the answers of a file and count them by kind of grade.

    Where rows state the grade that they expect, the exit code is 5 unless all agree. A row that
    cannot be graded is refused with its reason and does not stop the others; the exit code is 3.
    """
    rows = _read_rows(file)
    graded = [_graded(row) for row in rows]
    expected = [row for row in graded if row["expect"] is not None]
    differing = [row for row in expected if _differs(row)]
    kinds = dict(Counter(row["kind"] for row in graded))
    if as_json:
        counts = {"num_expected": len(expected), "num_agreeing": len(expected) - len(differing)}
        print_json({"kinds": kinds, **counts, "rows": graded})
    else:
        print_table([{"kind": kind, "answers": number} for kind, number in kinds.items()])
        noted = [row for row in graded if _differs(row) or row["kind"] == _REFUSED]
        if noted:
            columns = ("line", "grader", "kind", "expect", "reason")
            print_table([{name: row[name] for name in columns} for row in noted])
        if expected:
            typer.echo(f"{len(expected) - len(differing)} of {len(expected)} agree with `expect`")
    refused = [row for row in graded if row["kind"] == _REFUSED]
    if refused:
        raise ArtifactError(
            f"{file}: {len(refused)} of {len(rows)} rows cannot be graded, the first in line "
            f"{refused[0]['line']}: {refused[0]['reason']}"
        )
    if differing:
        raise GradingError(
            f"{file}: {len(differing)} of {len(expected)} grades differ from the expected ones, "
            f"the first in line {differing[0]['line']}"
        )


def regrade(
    questions: Annotated[Path, typer.Option(help="Questions table (parquet).")],
    outcomes: Annotated[Path, typer.Option(help="Outcomes table with answers (parquet).")],
    out: Annotated[
        Path | None, typer.Option(help="Outcomes to write; by default the same file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grade stored answers again with the questions table as it is now; no model is called."""
    from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
    from modelsat.artifacts.store import read_manifest, read_table, write_table
    from modelsat.grading.graders import check_question, grader_versions
    from modelsat.grading.regrading import has_gold, num_changed
    from modelsat.grading.regrading import regrade as regrade_table

    check_output(out or outcomes, questions)
    rows = {row["question_id"]: row for row in read_table(QUESTIONS, questions).to_pylist()}
    for row in filter(has_gold, rows.values()):
        check_question(row)
    before = read_table(OUTCOMES, outcomes)
    num_unknown = sum(name not in rows for name in before["question_id"].to_pylist())
    if 0 < num_unknown == before.num_rows:
        raise ArtifactError(
            f"{outcomes}: none of its {num_unknown} rows answers a question of {questions}; give "
            "the questions table that the candidates answered"
        )
    after = regrade_table(before, rows)
    manifest = {**read_manifest(outcomes), "graders": grader_versions(rows.values())}
    write_table(OUTCOMES, after, out or outcomes, manifest)
    facts = {
        "outcomes": str(out or outcomes),
        "num_rows": after.num_rows,
        "num_changed": num_changed(before, after),
        "num_without_answer": before["output"].null_count,
        "num_without_question": num_unknown,
    }
    if as_json:
        print_json(facts)
        return
    typer.echo(
        f"{facts['outcomes']}: {facts['num_changed']} of {facts['num_rows']} grades changed; "
        f"{facts['num_without_answer']} rows hold no answer and {num_unknown} are of other "
        "questions; they stay"
    )


def _read_rows(file: Path) -> list[dict[str, Any]]:
    try:
        # Not splitlines, which also ends a line at separators that texts may hold.
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read {file}: {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{file}, line {number}: not valid JSON: {error}") from None
        missing = [name for name in _NEEDED if not isinstance(row, dict) or name not in row]
        if missing:
            raise ArtifactError(f"{file}, line {number}: missing fields: {', '.join(missing)}")
        rows.append({**row, "line": number})
    if not rows:
        raise ArtifactError(f"{file} has no row; give at least one")
    return rows


def _differs(row: dict[str, Any]) -> bool:
    return row["expect"] not in (None, row["kind"])


def _graded(row: dict[str, Any]) -> dict[str, Any]:
    from modelsat.grading.graders import check_question, grade_answer, grader_name

    facts = {"line": row["line"], "id": row.get("id"), "expect": row.get("expect")}
    try:
        row = _normalised(row)
        check_question(row)
    except ArtifactError as error:
        reason = str(error).removeprefix(f"question {row.get('question_id')!r}: ")
        found: dict[str, Any] = {"kind": _REFUSED, "score": None, "reason": reason}
    else:
        grade = grade_answer(row, row["output"] or "", row.get("finish_reason"))
        found = {"kind": grade.kind.value, "score": grade.score, "reason": grade.reason}
    return {**facts, "grader": grader_name(row), **found}


def _normalised(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as graders read it; gold answers may stand as JSON values.

    Raises:
        ArtifactError: a field is of another kind.
    """
    for name in _TEXTS:
        if not isinstance(row.get(name), str | None):
            raise ArtifactError(f"{name} is {str(row[name])[:50]!r}; it must be a text or null")
    if row.get("expect") not in (None, *map(str, Kind)):
        raise ArtifactError(f"expect is {row['expect']!r}; kinds are {', '.join(Kind)}")
    n_choices = row.get("n_choices")
    if isinstance(n_choices, float) and n_choices.is_integer():
        n_choices = int(n_choices)  # a column with nulls holds floats in some programs
    if isinstance(n_choices, bool) or not isinstance(n_choices, int | None):
        raise ArtifactError(f"n_choices is {n_choices!r}; it must be a whole number or null")
    answer = row["answer"]
    if not isinstance(answer, str):
        answer = "" if answer is None else json.dumps(answer)
    return {**row, "n_choices": n_choices, "answer": answer}
