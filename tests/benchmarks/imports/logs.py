"""Logs of made-up answers, in the shape of real ones."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUM_CANDIDATES = 20
_WORKING = "First we add the parts, then we take the share of each of them. " * 4


@dataclass(frozen=True)
class Log:
    """A kind of log.

    Attributes:
        name: for people.
        log_format: format of ``modelsat outcomes import``.
        columns: names of its columns, for the format ``table``.
        write: writes a log of so many answers into a folder.
    """

    name: str
    log_format: str
    columns: tuple[str, ...]
    write: Callable[[int, Path], None]


def _write_lm_eval(num_rows: int, folder: Path) -> None:
    """A folder and a sample log for each candidate, as lm-evaluation-harness 0.4 writes them."""
    for candidate in range(NUM_CANDIDATES):
        own = folder / f"org__model-{candidate}"
        own.mkdir(parents=True)
        date = "2026-01-01T12-00-00.000001"
        (own / f"results_{date}.json").write_text(json.dumps({"model_name": f"org/m{candidate}"}))
        _write_lines(own / f"samples_sums_{date}.jsonl", _samples(candidate, num_rows))


def _samples(candidate: int, num_rows: int) -> Iterator[dict[str, Any]]:
    for number in range(num_rows // NUM_CANDIDATES):
        question = _question(number)
        said = f"{_WORKING}#### {number + candidate % 2}"
        chat = json.dumps([{"role": "user", "content": f"Question: {question}\nAnswer:"}])
        yield {
            "doc_id": number,
            "doc": {"question": question, "answer": f"{_WORKING}#### {number}"},
            "target": f"{_WORKING}#### {number}",
            "arguments": {"gen_args_0": {"arg_0": [chat], "arg_1": {"until": ["Question:"]}}},
            "resps": [[said]],
            "filtered_resps": [str(number + candidate % 2)],
            "filter": "strict-match",
            "metrics": ["exact_match"],
            "exact_match": float(candidate % 2 == 0),
        }


def _write_table(num_rows: int, folder: Path) -> None:
    """One JSONL file with a row for each answer, the candidates taking turns."""
    folder.mkdir(parents=True)
    rows = (
        {
            "question": _question(number // NUM_CANDIDATES),
            "model": f"m{number % NUM_CANDIDATES}",
            "score": float(number % 3 == 0),
            "topic": f"t{number % 50}",
            "said": f"{_WORKING}{number}",
        }
        for number in range(num_rows)
    )
    _write_lines(folder / "scores.jsonl", rows)


def _question(number: int) -> str:
    return f"A shop has {number} boxes of pens and sells {number % 17} of them. How many are left?"


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


_COLUMNS = ("prompt=question", "candidate=model", "score=score", "task=topic", "output=said")
LOGS = (
    Log("lm-evaluation-harness, sample logs of 20 models", "lm_eval", (), _write_lm_eval),
    Log("any table, one JSONL file", "table", _COLUMNS, _write_table),
)
