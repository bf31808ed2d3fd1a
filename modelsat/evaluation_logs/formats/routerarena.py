"""RouterArena: results of models, and predictions of routers, which hold the chosen model's answer.

``cached_results/MODEL.jsonl`` has a line for each question, ``predictions/ROUTER.json`` a list.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelsat.evaluation_logs.answer import (
    LeftOut,
    LoggedAnswer,
    read_amount,
    read_count,
    read_output,
    read_score,
)
from modelsat.evaluation_logs.rows import Row, files_in, table_rows


def read_routerarena(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of models."""
    for path in files_in(paths, "cached_results/*.jsonl", "predictions/*.json", "*.jsonl"):
        for row in table_rows(path):
            judged: Row = row.get("evaluation_result") or row
            value = judged.get("score", row.get("accuracy"))
            score = read_score(value)
            if score is None:
                left_out.add(
                    "answers without a score" if value is None else "scores outside 0 to 1"
                )
                continue
            yield _answer(row, judged, path.stem, score)


def _answer(row: Row, judged: Row, file_name: str, score: float) -> LoggedAnswer:
    result: Row = row.get("generated_result") or row
    usage: Row = result.get("token_usage") or {}
    index = str(row.get("global_index") or row.get("global index") or "")
    dataset = index.rpartition("_")[0]
    return LoggedAnswer(
        candidate=str(row.get("llm_selected") or row.get("prediction") or file_name),
        prompt=str(row.get("question") or row.get("prompt") or ""),
        score=score,
        task=dataset,
        benchmark=dataset.partition("_")[0],
        answer=_gold(judged.get("ground_truth")),
        output=read_output(result.get("generated_answer")),
        prompt_tokens=read_count(usage.get("input_tokens")),
        completion_tokens=read_count(usage.get("output_tokens")),
        cost_usd=read_amount(judged.get("inference_cost", row.get("cost"))),
    )


def _gold(value: Any) -> str:
    return value if isinstance(value, str) else ""
