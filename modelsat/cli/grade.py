"""``modelsat grade`` and ``modelsat regrade``: grade stored answers."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.cli.output import AsJson, check_output, print_json, print_table
from modelsat.errors import ArtifactError, GradingError

_NEEDED = ("prompt", "answer", "output")
_TYPES: dict[str, Any] = {
    "prompt": str,
    "output": str | None,
    "n_choices": int | None,
    "grader": str | None,
    "finish_reason": str | None,
    "expect": str | None,
}


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

    Where rows state the grade that they expect, the exit code is 5 unless all agree.
    """
    rows = _read_rows(file)
    graded = [_graded(row, file) for row in rows]
    expected = [row for row in graded if row["expect"] is not None]
    differing = [row for row in expected if row["expect"] != row["kind"]]
    kinds = dict(Counter(row["kind"] for row in graded))
    if as_json:
        counts = {"num_expected": len(expected), "num_agreeing": len(expected) - len(differing)}
        print_json({"kinds": kinds, **counts, "rows": graded})
    else:
        print_table([{"kind": kind, "answers": number} for kind, number in kinds.items()])
        if differing:
            columns = ("line", "grader", "kind", "expect", "reason")
            print_table([{name: row[name] for name in columns} for row in differing])
        if expected:
            typer.echo(f"{len(expected) - len(differing)} of {len(expected)} agree with `expect`")
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
    from modelsat.grading.regrading import num_changed
    from modelsat.grading.regrading import regrade as regrade_table

    check_output(out or outcomes, questions)
    rows = {row["question_id"]: row for row in read_table(QUESTIONS, questions).to_pylist()}
    for row in rows.values():
        check_question(row)
    before = read_table(OUTCOMES, outcomes)
    after = regrade_table(before, rows)
    manifest = {**read_manifest(outcomes), "graders": grader_versions(rows.values())}
    write_table(OUTCOMES, after, out or outcomes, manifest)
    facts = {
        "outcomes": str(out or outcomes),
        "num_rows": after.num_rows,
        "num_changed": num_changed(before, after),
        "num_without_answer": before["output"].null_count,
    }
    if as_json:
        print_json(facts)
        return
    typer.echo(
        f"{facts['outcomes']}: {facts['num_changed']} of {facts['num_rows']} grades changed; "
        f"{facts['num_without_answer']} rows hold no answer and stay"
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
        for name, kinds in _TYPES.items():
            if isinstance(row.get(name), bool) or not isinstance(row.get(name), kinds):
                raise ArtifactError(f"{file}, line {number}: {name} is {str(row[name])[:50]!r}")
        rows.append({**row, "line": number})
    if not rows:
        raise ArtifactError(f"{file} has no row; give at least one")
    return rows


def _graded(row: dict[str, Any], file: Path) -> dict[str, Any]:
    from modelsat.grading.graders import check_question, grade_answer, grader_name

    if not isinstance(row["answer"], str):  # references, documents and calls may stand as they are
        row = {**row, "answer": json.dumps(row["answer"])}
    where = f"{file}, line {row['line']}"
    check_question({**row, "question_id": where})
    found = grade_answer(row, row["output"] or "", row.get("finish_reason"))
    return {
        "line": row["line"],
        "id": row.get("id"),
        "grader": grader_name(row),
        "kind": found.kind.value,
        "score": found.score,
        "reason": found.reason,
        "expect": row.get("expect"),
    }
