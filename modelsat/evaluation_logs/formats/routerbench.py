"""RouterBench (Hu et al. 2024): a row for each prompt, columns for each model.

``MODEL`` holds the score, ``MODEL|model_response`` the answer, ``MODEL|total_cost`` the price in US
dollars. The published files are pickles, which are not read: write them as parquet or CSV first.
"""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer, read_amount, read_score
from modelsat.evaluation_logs.rows import Row, files_in, table_rows

_RESPONSE, _COST = "|model_response", "|total_cost"


def read_routerbench(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of every model to every prompt."""
    for path in files_in(paths, "*.parquet", "*.csv", "*.jsonl"):
        for row in table_rows(path):
            for name in [column for column in row if f"{column}{_COST}" in row]:
                score = read_score(row[name])
                if score is None:
                    left_out.add("cells without a score between 0 and 1")
                else:
                    yield _answer(row, name, score)


def _answer(row: Row, name: str, score: float) -> LoggedAnswer:
    cost = row.get(f"{name}{_COST}")
    task = str(row.get("eval_name") or "")
    return LoggedAnswer(
        candidate=name,
        prompt=_joined(row.get("prompt")),
        score=score,
        task=task,
        benchmark=task.partition("-")[0],
        output=_joined(row.get(f"{name}{_RESPONSE}")) or None,
        cost_usd=read_amount(float(cost) if isinstance(cost, str) and cost else cost),
    )


def _joined(value: Any) -> str:
    """Return the texts of a Python list, which the columns hold as it is printed."""
    text = str(value or "")
    if text.startswith("["):
        try:
            parts = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return text
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return "\n".join(parts)
    return text
