"""Rows of tables, read one after another: CSV, TSV, JSON Lines, JSON, parquet, Excel.

Texts may be compressed with gzip.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelsat.errors import ArtifactError

Row = dict[str, Any]
_MAX_FIELD_BYTES = 64 * 2**20  # of a CSV file; a whole conversation may be one field
_BATCH = 2_000  # rows of a parquet file that are in memory at once


def files_in(paths: Sequence[Path], *patterns: str) -> list[Path]:
    """Return the files that paths name: a file itself, and those of a folder that fit a pattern.

    Raises:
        ArtifactError: a path does not exist, or a folder holds no such file.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
            continue
        if not path.is_dir():
            raise ArtifactError(f"{path} does not exist")
        inside = sorted({file for pattern in patterns for file in path.rglob(pattern)})
        if not inside:
            raise ArtifactError(f"{path} holds no file named {' or '.join(patterns)}")
        found += inside
    return found


def table_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a table by column name; the kind of file follows from its name.

    Raises:
        ArtifactError: the file cannot be read, or is of another kind.
    """
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = suffixes[-1].lower() if suffixes else ""
    if kind == ".parquet":
        yield from _parquet_rows(path)
    elif kind in (".csv", ".tsv"):
        yield from _csv_rows(path, "\t" if kind == ".tsv" else ",")
    elif kind in (".jsonl", ".ndjson"):
        yield from json_lines(path)
    elif kind == ".json":
        yield from json_rows(path)
    elif kind == ".xlsx":
        yield from _excel_rows(path)
    else:
        raise ArtifactError(f"{path} is not a .csv, .tsv, .jsonl, .json, .parquet or .xlsx file")


def json_lines(path: Path) -> Iterator[Row]:
    """Yield the objects of a JSON Lines file; a file may be compressed with gzip.

    Raises:
        ArtifactError: a line is not a JSON object; the message has its number.
    """
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ArtifactError(f"{path}, line {number}: not JSON: {error}") from None
                if not isinstance(row, dict):
                    raise ArtifactError(f"{path}, line {number}: not a JSON object")
                yield row


def json_document(path: Path) -> Any:
    """Return a whole JSON file.

    Raises:
        ArtifactError: it is not JSON.
    """
    with _opened(path) as file:
        try:
            return json.load(file)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path} is not JSON: {error}") from None


def json_rows(path: Path) -> Iterator[Row]:
    """Yield the objects of a JSON file that holds a list of them.

    Raises:
        ArtifactError: it does not.
    """
    document = json_document(path)
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise ArtifactError(f"{path} does not hold a list of JSON objects")
    yield from document


def value_at(row: Any, key: str) -> Any:
    """Return the value of a column, or of a path such as ``doc.question`` or ``resps.0.0``."""
    if isinstance(row, dict) and key in row:
        return row[key]
    for part in key.split("."):
        if isinstance(row, dict):
            row = row.get(part)
        elif isinstance(row, list) and part.isdecimal() and int(part) < len(row):
            row = row[int(part)]
        else:
            return None
    return row


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path} is not a readable parquet file: {error}") from None


def _csv_rows(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_MAX_FIELD_BYTES)
    with _opened(path) as file:
        try:
            rows = csv.DictReader(file, delimiter=delimiter)
            _check_names([name or None for name in rows.fieldnames or ()], path)
            for row in rows:
                more = row.pop(None, ())  # empty behind a separator that ends the line
                if any(more):
                    raise ArtifactError(
                        f"{path}, line {rows.line_num}: {len(more)} more cells than columns; "
                        "quote cells that hold the separator"
                    )
                yield row
        except csv.Error as error:
            raise ArtifactError(f"{path} is not readable: {error}") from None


def _excel_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of the first sheet; its first row names the columns."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs state that it has one cell
            rows = sheet.iter_rows(values_only=True)
            names = [None if name is None else str(name) for name in next(rows, ())]
            _check_names(names, path)
            for values in rows:
                if any(value is not None for value in values):
                    found = zip(names, values, strict=False)
                    yield {name: value for name, value in found if name is not None}
        finally:
            book.close()
    except ArtifactError:
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl raises what its XML and ZIP parsers raise
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path} is not a readable Excel file: {reason}") from None


def _check_names(names: Sequence[str | None], path: Path) -> None:
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    if twice:
        raise ArtifactError(f"{path} has two columns named {twice[0]!r}; rename one of them")


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOBase]:
    """Open a text, compressed or not, with or without the mark that some editors put first."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} is not a text in UTF-8: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"cannot read {path}: {error}") from None
