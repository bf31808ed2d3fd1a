"""RouterBench (Hu et al. 2024): a row for each prompt, columns for each model.

``MODEL`` holds the score, ``MODEL|model_response`` the answer, ``MODEL|total_cost`` the price in US
dollars. The published files are pickles, which are not read: write them as parquet or CSV first.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer, read_amount, read_score
from modelsat.evaluation_logs.rows import Row, files_in, table_rows

_RESPONSE, _COST = "|model_response", "|total_cost"


def read_routerbench(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of every model to every prompt."""
    for path in files_in(paths, "*.parquet", "*.csv", "*.jsonl"):
        for row in table_rows(path):
            for name in [column for column in row if f"{column}{_RESPONSE}" in row]:
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
        prompt=str(row.get("prompt") or ""),
        score=score,
        task=task,
        benchmark=task.partition("-")[0],
        output=row.get(f"{name}{_RESPONSE}"),
        cost_usd=read_amount(float(cost) if isinstance(cost, str) and cost else cost),
    )
