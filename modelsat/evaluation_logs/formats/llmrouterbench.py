"""LLMRouterBench: a JSON file for each run of a model on a dataset, a record for each question."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.answer import (
    LeftOut,
    LoggedAnswer,
    read_amount,
    read_count,
    read_output,
    read_score,
    read_text,
)
from modelsat.evaluation_logs.rows import Row, files_in, json_document

_DATE = re.compile(r"-(\d{8}_\d{6})\.json\Z")


def read_llmrouterbench(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of the newest run in each folder."""
    newest: dict[tuple[Path, str, str], tuple[str, Row]] = {}
    for path in files_in(paths, "*.json"):
        run = json_document(path)
        if not isinstance(run, dict) or not isinstance(run.get("records"), list):
            raise ArtifactError(f"{path} is not a result file: it has no list `records`")
        if run.get("demo"):
            left_out.add("files of demo runs")
            continue
        found = _DATE.search(path.name)
        date = found[1] if found else ""
        key = (path.parent, _candidate(run, path), _dataset(run, path))
        if key in newest:
            left_out.add("files of earlier runs")
        if key not in newest or date > newest[key][0]:
            newest[key] = (date, run)
    for (_, candidate, dataset), (_, run) in newest.items():
        for record in run["records"]:
            score = read_score(record.get("score"))
            if score is None:
                left_out.add("records without a score between 0 and 1")
            else:
                yield _answer(record, candidate, dataset, score)


def _candidate(run: Row, path: Path) -> str:
    return str(run.get("model_name") or path.parent.name)


def _dataset(run: Row, path: Path) -> str:
    return str(run.get("dataset_name") or path.parent.parent.parent.name)


def _answer(record: Row, candidate: str, dataset: str, score: float) -> LoggedAnswer:
    cost = read_amount(record.get("cost"))
    return LoggedAnswer(
        candidate=candidate,
        # `prompt` adds instructions, which may differ between runs.
        prompt=_text(record.get("origin_query")) or _text(record.get("prompt")),
        score=score,
        task=dataset,
        benchmark=dataset,
        answer=_text(record.get("ground_truth")),
        output=read_output(record.get("raw_output")) or _text(record.get("prediction")),
        prompt_tokens=read_count(record.get("prompt_tokens")),
        completion_tokens=read_count(record.get("completion_tokens")),
        cost_usd=cost or None,  # 0 stands for a model without a price
    )


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return read_text(value) or json.dumps(value, ensure_ascii=False)
