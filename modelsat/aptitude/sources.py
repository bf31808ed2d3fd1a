"""Import questions from the Hugging Face hub or from files into a questions table."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelsat.aptitude.answers import draw
from modelsat.aptitude.benchmarks import Benchmark, MultipleChoiceQuestion, Row, UnusableRow
from modelsat.aptitude.images import MAX_BYTES, ImageWriter, UnusableImage, check_marks
from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.errors import ArtifactError, ConfigError, MachineError
from modelsat.grading.graders import stated_question

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")
_INTEGERS = frozenset(f.name for f in QUESTIONS.fields if pa.types.is_integer(f.type))


@dataclass(frozen=True)
class ImportedQuestions:
    """Questions of a split and their origin.

    Attributes:
        questions: questions table.
        manifest: source, split, hub revision or None, hash of the files, number of questions
            that were left out because they have no options.
    """

    questions: pa.Table
    manifest: dict[str, Any]


def import_benchmark(
    benchmark: Benchmark,
    source: str | None = None,
    *,
    images: ImageWriter,
    split: str | None = None,
    revision: str | None = None,
) -> ImportedQuestions:
    """Read a benchmark's questions.

    Args:
        benchmark: the benchmark that the rows belong to.
        source: hub id of a dataset, a folder with the same layout, or a parquet, CSV, TSV or
            JSONL file; None uses the benchmark's own hub id.
        images: stores the questions' images.
        split: split to read; for a single file, the split that its questions are labelled with.
        revision: branch, tag or commit on the hub.

    Raises:
        ConfigError: the source is neither a path nor a hub id, or a local source has a revision.
        ArtifactError: a file cannot be read, or a row cannot be converted.
        MachineError: the hub cannot be reached or does not have the dataset.
    """
    source, split = source or benchmark.hub_id, split or benchmark.split
    if not source:
        raise ConfigError(f"{benchmark.name} has no dataset on the hub; pass its file as --source")
    local = Path(source).expanduser()
    found_revision = None
    if local.exists():
        if revision is not None:
            raise ConfigError(
                f"{source} is a local path and has no revision {revision!r}; omit the revision"
            )
        files = [local] if local.is_file() else _files_of(local, benchmark, split)
    elif _HUB_ID.fullmatch(source):
        folder = _fetch(source, benchmark.patterns(split), revision)
        found_revision = folder.name
        files = _files_of(folder, benchmark, split)
    else:
        raise ConfigError(
            f"{source} is neither an existing file or folder nor a hub id such as owner/name"
        )
    found = [(file, item) for file in files for item in _convert(benchmark, file, split)]
    rows = [(file, item) for file, item in found if item is not None]
    if not rows:
        reason = f" with options ({len(found)} without)" if found else ""
        raise ArtifactError(f"{source} has no question of split {split}{reason}")
    manifest = {
        "source": source,
        "split": split,
        "revision": found_revision,
        "files_hash": content_hash([file_hash(file) for file in files]),
        "num_without_options": len(found) - len(rows),
    }
    return ImportedQuestions(_questions_table(benchmark.name, split, rows, images), manifest)


def import_questions(path: str | Path, images: ImageWriter) -> ImportedQuestions:
    """Read a user's table with the columns of the questions schema.

    Args:
        path: parquet, CSV, TSV or JSONL file; in a CSV file an empty cell is a null. A column
            ``images`` or ``image`` holds bytes, URLs, or paths relative to the file's folder.
        images: stores the questions' images.

    Raises:
        ArtifactError: the file cannot be read, a numeric column has another value, or a gold
            answer is wrong by its own grader.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist or is not a file; pass a table of questions")
    rows = []
    for number, row in enumerate(_rows(path, ()), start=1):
        values: dict[str, Any] = {}
        for column in (name for name in QUESTIONS.arrow.names if name in row):
            value: Any = None if row[column] == "" else row[column]
            if column in _INTEGERS and isinstance(value, str):
                try:
                    value = int(value)
                except ValueError:
                    raise ArtifactError(
                        f"{path}, row {number}: column {column!r} is {value[:20]!r}; use an "
                        "integer or leave it empty"
                    ) from None
            values[column] = value
        values["images"] = _own_images(path, number, row, images)
        rows.append(values)
    missing = [
        f.name for f in QUESTIONS.fields if not f.nullable and any(f.name not in r for r in rows)
    ]
    if missing or not rows:
        problem = f"lacks the questions columns {missing}" if missing else "has no rows"
        raise ArtifactError(f"{path} {problem}")
    rows = [_stated(path, number, row) for number, row in enumerate(rows, start=1)]
    try:
        table = pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)
    except (pa.ArrowException, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} is not a questions table: {reason}") from None
    manifest = {"source": str(path), "files_hash": content_hash([file_hash(path)])}
    return ImportedQuestions(table, manifest)


def _own_images(
    path: Path, number: int, row: Mapping[str, Any], images: ImageWriter
) -> list[str] | None:
    stated = row.get("images") or row.get("image")
    if not stated:
        return None
    if isinstance(stated, str) and stated.startswith('["'):
        try:
            stated = json.loads(stated)  # a list in a cell of a CSV file
        except ValueError:
            raise ArtifactError(
                f"{path}, row {number}: images must be a path, a URL or a JSON list of them"
            ) from None
    values = stated if isinstance(stated, list) else [stated]
    try:
        check_marks(str(row.get("prompt")), len(values))
        return [images.store(value, path.parent) for value in values]
    except UnusableImage as error:
        raise ArtifactError(f"{path}, row {number}: image {error}") from None


def _stated(path: Path, number: int, row: dict[str, Any]) -> dict[str, Any]:
    try:
        return stated_question(row)
    except ArtifactError as error:
        raise ArtifactError(f"{path}, row {number}: {error}") from None


def draw_per_task(questions: pa.Table, per_task: int, seed: int) -> pa.Table:
    """Sample at most ``per_task`` questions of each task, in the order of the table.

    Raises:
        ConfigError: ``per_task`` is below 1.
    """
    if per_task < 1:
        raise ConfigError(f"{per_task} questions per task is too few; use at least 1")
    ids = questions["question_id"].to_pylist()
    rows_by_task: dict[str, list[int]] = {}
    for row, task in enumerate(questions["task"].to_pylist()):
        rows_by_task.setdefault(task, []).append(row)
    drawn: list[int] = []
    for rows in rows_by_task.values():
        drawn += sorted(rows, key=lambda row: draw(seed, ids[row]))[:per_task]
    return questions.take(sorted(drawn))


def _files_of(folder: Path, benchmark: Benchmark, split: str) -> list[Path]:
    patterns = benchmark.patterns(split)
    for pattern in patterns:
        files = sorted(folder.glob(pattern))
        if files:
            return files
    raise ArtifactError(
        f"{folder} has no split {split!r} of {benchmark.name}; looked for "
        f"{' or '.join(patterns)}: pass another --split, or the file itself"
    )


def _fetch(hub_id: str, patterns: Iterable[str], revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                hub_id, repo_type="dataset", revision=revision, allow_patterns=list(patterns)
            )
        )
    except (OSError, ValueError) as error:  # base classes of all huggingface_hub errors
        reason = " ".join(str(error).split())[:200]
        raise MachineError(
            f"cannot download dataset {hub_id} from the hub ({type(error).__name__}: {reason}); "
            "check its name, the network and HF_TOKEN, or pass a local file or folder as --source"
        ) from None


def _convert(
    benchmark: Benchmark, file: Path, split: str
) -> Iterator[MultipleChoiceQuestion | None]:
    for number, row in enumerate(_rows(file, benchmark.headerless_columns), start=1):
        try:
            item = benchmark.convert(row, split, file.stem)
            if item is not None and len(item.options) > len(ascii_uppercase):
                raise UnusableRow(f"{len(item.options)} options; at most {len(ascii_uppercase)}")
        except KeyError as error:
            raise ArtifactError(
                f"{file}, row {number}: {benchmark.name} needs the column or field {error}; found "
                f"{', '.join(sorted(map(str, row)))}"
            ) from None
        except UnusableRow as error:
            raise ArtifactError(f"{file}, row {number}: {error}") from None
        yield item


def _rows(file: Path, headerless_columns: tuple[str, ...]) -> Iterator[Row]:
    if file.suffix not in _SUFFIXES:
        raise ArtifactError(f"{file} has an unknown suffix; allowed: {', '.join(_SUFFIXES)}")
    try:
        if file.suffix == ".parquet":
            for batch in pq.ParquetFile(file).iter_batches():
                yield from batch.to_pylist()
        elif file.suffix in (".csv", ".tsv"):
            yield from _csv_rows(file, headerless_columns)
        else:
            with file.open(encoding="utf-8-sig") as lines:
                yield from (_mapping(json.loads(line)) for line in lines if line.strip())
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{file} is not readable as {file.suffix[1:]}: {reason}") from None


def _csv_rows(file: Path, headerless_columns: tuple[str, ...]) -> Iterator[Row]:
    csv.field_size_limit(2 * MAX_BYTES)  # an image in base64 is one field
    delimiter = "\t" if file.suffix == ".tsv" else ","
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True, delimiter=delimiter)
        header = next(reader, [])
        names = headerless_columns
        if names and len(header) == len(names) and "question" not in header:
            yield dict(zip(names, header, strict=True))
            header = list(names)
        for cells in reader:
            if len(cells) != len(header):
                raise ValueError(
                    f"line {reader.line_num} has {len(cells)} cells under {len(header)} columns"
                )
            yield dict(zip(header, cells, strict=True))


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a line contains {type(value).__name__}, not an object")
    return value


def _questions_table(
    benchmark: str,
    split: str,
    items: list[tuple[Path, MultipleChoiceQuestion]],
    images: ImageWriter,
) -> pa.Table:
    numbers: Counter[str] = Counter()
    first_of: dict[tuple[str, ...], str] = {}
    rows = []
    for file, item in items:
        key = item.key
        if key is None:
            key = f"{item.task}/{split}/{numbers[item.task]}"
            numbers[item.task] += 1
        question_id = f"{benchmark}/{key}"
        prompt = "\n".join(
            [item.stem, *(f"{x}. {o}" for x, o in zip(ascii_uppercase, item.options, strict=False))]
        )
        try:
            stored = [images.store(value, file.parent) for value in item.images]
        except UnusableImage as error:
            raise ArtifactError(f"{file}, question {question_id}: image {error}") from None
        text = " ".join(prompt.lower().split())
        rows.append(
            {
                "question_id": question_id,
                "benchmark": benchmark,
                "task": item.task,
                "split": split,
                "prompt": prompt,
                "answer": ascii_uppercase[item.answer_index],
                "n_choices": len(item.options),
                "images": stored or None,
                "dup_group": first_of.setdefault((text, *stored), question_id),
                "category": item.category,
            }
        )
    return pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)
