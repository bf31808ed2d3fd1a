"""OpenCompass: ``predictions/MODEL/DATASET.json`` and ``results/MODEL/DATASET.json`` of one run.

Only evaluators that leave details say which answers were right; other datasets are left out.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from modelsat.evaluation_logs.answer import (
    LeftOut,
    LoggedAnswer,
    read_output,
    read_score,
    read_text,
)
from modelsat.evaluation_logs.rows import Row, files_in, json_document

_RIGHT = ("correct", "is_correct", "cascade_correct")
_SPEAKERS = {"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}


def read_opencompass(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of every dataset with details; of several runs the newest counts."""
    found = [path for path in files_in(paths, "*.json") if path.parent.parent.name == "results"]
    for path in sorted(found, key=lambda path: path.parents[2].name, reverse=True):
        details = _details(json_document(path))
        if not details:
            left_out.add("datasets without details of each question")
            continue
        predictions = json_document(path.parents[2] / "predictions" / path.parent.name / path.name)
        for index, detail in details.items():
            score = _score(detail)
            row = predictions.get(index)
            if score is None or row is None:
                left_out.add("answers without a score, or without their prediction")
            else:
                yield _answer(row, path.parent.name, path.stem, score)


def _details(results: Row) -> dict[str, Row]:
    """Return the details by the index of the prediction: a list, or in older releases a mapping."""
    details = results.get("details")
    if isinstance(details, list):
        return {str(index): detail for index, detail in enumerate(details)}
    if isinstance(details, dict):
        return {key: value for key, value in details.items() if isinstance(value, dict)}
    return {}


def _score(detail: Row) -> float | None:
    value = next((detail[name] for name in _RIGHT if name in detail), None)
    values = value if isinstance(value, list) else [value]
    scores = [score for one in values if (score := read_score(one)) is not None]
    return mean(scores) if scores else None


def _answer(row: Row, candidate: str, dataset: str, score: float) -> LoggedAnswer:
    return LoggedAnswer(
        candidate=candidate,
        prompt=_prompt(row.get("origin_prompt") or row.get("label: A", {}).get("prompt")),
        score=score,
        task=dataset,
        benchmark=dataset.partition("_")[0],
        answer=str(row.get("gold") or ""),
        output=read_output(row.get("prediction")),
    )


def _prompt(value: Any) -> str:
    """Return the question: the last message of a user, or a whole text.

    Messages before it are worked examples.
    """
    if isinstance(value, list):
        value = [
            {"role": _SPEAKERS.get(str(turn.get("role"))), "content": turn.get("prompt")}
            for turn in value
            if isinstance(turn, dict)
        ]
        value = [turn for turn in value if turn["role"] == "user"][-1:]
    return read_text(value) or ""
