"""Any table, by the names of its columns; and tables of known routers' data, which are such tables.

Columns are named ``field=column``. A column may be a path into nested values (``doc.question``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelsat.errors import ArtifactError, ConfigError
from modelsat.evaluation_logs.answer import (
    LeftOut,
    LoggedAnswer,
    read_amount,
    read_count,
    read_output,
    read_score,
    read_text,
)
from modelsat.evaluation_logs.rows import Row, files_in, table_rows, value_at

_PATTERNS = ("*.csv", "*.tsv", "*.jsonl", "*.json", "*.parquet", "*.csv.gz", "*.jsonl.gz")
REQUIRED = ("prompt", "score")
OPTIONAL = (
    *("candidate", "task", "benchmark", "answer", "n_choices", "output", "finish_reason"),
    *("prompt_tokens", "completion_tokens", "latency_s", "cost_usd"),
)
# EmbedLLM (Zhuang et al. 2024): a row for each prompt and model.
EMBEDLLM: Mapping[str, str] = MappingProxyType(
    {"prompt": "prompt", "candidate": "model_name", "score": "label", "task": "category"}
    | {"benchmark": "category"}
)


def parse_columns(assignments: Sequence[str]) -> dict[str, str]:
    """Return columns by field, from ``field=column``.

    Raises:
        ConfigError: a field is unknown, or one of :data:`REQUIRED` is missing.
    """
    columns = dict(part.split("=", 1) for part in assignments if "=" in part)
    unknown = [part for part in assignments if part.split("=", 1)[0] not in REQUIRED + OPTIONAL]
    missing = [field for field in REQUIRED if field not in columns]
    if unknown or missing:
        problem = f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise ConfigError(
            f"--column {problem}; write field=column, where fields are "
            f"{', '.join(REQUIRED)} (required) and {', '.join(OPTIONAL)}"
        )
    return columns


def read_mapped(
    paths: Sequence[Path], left_out: LeftOut, columns: Mapping[str, str]
) -> Iterator[LoggedAnswer]:
    """Yield the answers of tables; without a column ``candidate`` the file's name is the name."""
    for path in files_in(paths, *_PATTERNS):
        for number, row in enumerate(table_rows(path)):
            if number == 0:
                _check_columns(row, columns, path)
            values = {field: value_at(row, column) for field, column in columns.items()}
            if "candidate" not in columns:
                values["candidate"] = path.name.partition(".")[0]
            answer = _answer(values)
            if answer is None:
                left_out.add("rows without a score between 0 and 1")
            else:
                yield answer


def read_embedllm(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of EmbedLLM's CSV files, whose names have ``__`` for ``/``."""
    for answer in read_mapped(paths, left_out, EMBEDLLM):
        yield replace(answer, candidate=answer.candidate.replace("__", "/"))


def _check_columns(row: Row, columns: Mapping[str, str], path: Path) -> None:
    missing = [
        name for name in columns.values() if name not in row and name.split(".")[0] not in row
    ]
    if missing:
        raise ArtifactError(
            f"{path} has no column {', '.join(missing)}; its columns are {', '.join(map(str, row))}"
        )


def _answer(values: Mapping[str, Any]) -> LoggedAnswer | None:
    score = read_score(values["score"])
    if score is None:
        return None
    return LoggedAnswer(
        candidate=_name(values["candidate"]),
        prompt=read_text(values["prompt"]) or "",
        score=score,
        task=str(values.get("task") or ""),
        benchmark=str(values.get("benchmark") or ""),
        answer="" if values.get("answer") is None else str(values["answer"]),
        n_choices=read_count(values.get("n_choices")),
        output=read_output(values.get("output")),
        finish_reason=read_text(values.get("finish_reason")),
        prompt_tokens=read_count(values.get("prompt_tokens")),
        completion_tokens=read_count(values.get("completion_tokens")),
        latency_s=read_amount(values.get("latency_s")),
        cost_usd=read_amount(values.get("cost_usd")),
    )


def _name(value: Any) -> str:
    if value is not None and not isinstance(value, str | int):
        raise ArtifactError(f"a candidate is named {value!r}; a name must be a text")
    return "" if value is None else str(value)
