"""``modelsat outcomes``: import outcomes from the logs of evaluation tools."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import AsJson, check_output, print_json, print_table
from modelsat.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Import outcomes that were measured elsewhere.")


@app.command("formats")
def list_formats(as_json: AsJson = False) -> None:
    """List the formats that can be imported."""
    from modelsat.evaluation_logs.readers import FORMATS

    rows = [{"format": name, "reads": known.describes} for name, known in FORMATS.items()]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)


@app.command("import")
def import_outcomes(
    log_format: Annotated[
        str, typer.Argument(metavar="FORMAT", help="Format, as `modelsat outcomes formats` lists.")
    ],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.parquet and outcomes.parquet.")],
    benchmark: Annotated[
        str, typer.Option(help="Benchmark of questions whose log names none.")
    ] = "imported",
    source: Annotated[
        str | None, typer.Option(help="Name of the source; by default the format.")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="Name of the candidate, instead of the log's.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Note on terms of use, kept in the files.")] = "",
    questions: Annotated[
        Path | None,
        typer.Option(help="Questions table to align with; answers to others are left out."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=COLUMN", help="Columns, for the format `table`; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import outcomes: questions aligned by their text, one outcome for each candidate.

    Rows that cannot be imported are counted by reason. `prepare`, `train`, `evaluate` and
    `cards build` read the tables.
    """
    from modelsat.evaluation_logs.alignment import (
        OUTCOMES_FILE,
        QUESTIONS_FILE,
        Source,
        write_outcomes,
    )
    from modelsat.evaluation_logs.answer import LeftOut
    from modelsat.evaluation_logs.readers import open_reader

    if questions is not None and not questions.exists():
        raise ConfigError(f"--questions {questions} does not exist")
    for name in (OUTCOMES_FILE, QUESTIONS_FILE):
        check_output(out / name, questions, *paths)
    left_out = LeftOut()
    answers = open_reader(log_format, column or [])(paths, left_out)
    described = Source(source or log_format, benchmark, licence, candidate)
    found = write_outcomes(answers, described, out, left_out, known=questions)
    if as_json:
        print_json(
            {
                "folder": str(out),
                "num_questions": found.num_questions,
                "num_outcomes": found.num_outcomes,
                "num_by_candidate": dict(found.num_by_candidate),
                "left_out": dict(found.left_out),
            }
        )
        return
    ordered = sorted(found.num_by_candidate.items())
    print_table([{"candidate": name, "outcomes": number} for name, number in ordered])
    for reason, number in found.left_out.items():
        typer.echo(f"left out: {number} {reason}")
    typer.echo(
        f"{out / OUTCOMES_FILE}: {found.num_outcomes} outcomes of {len(ordered)} candidates on "
        f"{found.num_questions} questions"
    )
