"""Runs of HELM: a folder with ``run_spec.json`` for each model and scenario.

Predictions are read from ``display_predictions.json``, which ``helm-summarize`` writes and public
runs keep, and questions from ``instances.json``. Perturbed instances are left out; trials are
averaged.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from string import ascii_uppercase
from typing import Any

from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.answer import (
    LeftOut,
    LoggedAnswer,
    read_amount,
    read_score,
    read_text,
)
from modelsat.evaluation_logs.rows import Row, files_in, json_document

# Of several metrics the one that says whether the answer was right.
_METRICS = (
    *("final_number_exact_match", "math_equiv_chain_of_thought", "quasi_prefix_exact_match"),
    *("quasi_exact_match", "prefix_exact_match", "exact_match", "ifeval_strict_accuracy"),
    *("f1_score",),
)


def read_helm(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of every run below the paths."""
    for path in files_in(paths, "run_spec.json"):
        yield from _run(path.parent, json_document(path), left_out)


def _run(folder: Path, spec: Row, left_out: LeftOut) -> Iterator[LoggedAnswer]:
    predictions = folder / "display_predictions.json"
    if not predictions.exists():
        raise ArtifactError(
            f"{folder} has no display_predictions.json; run helm-summarize on the suite first"
        )
    instances = {row.get("id"): row for row in json_document(folder / "instances.json")}
    by_instance: dict[Any, list[Row]] = {}
    for row in json_document(predictions):
        if row.get("perturbation"):
            left_out.add("predictions on perturbed questions")
        else:
            by_instance.setdefault(row.get("instance_id"), []).append(row)
    for instance_id, trials in by_instance.items():
        scores = [score for trial in trials if (score := _score(trial)) is not None]
        if not scores or instance_id not in instances:
            left_out.add("predictions without a metric between 0 and 1, or without a question")
            continue
        yield _answer(instances[instance_id], trials[0], spec, mean(scores))


def _score(trial: Row) -> float | None:
    stats = trial.get("stats") or {}
    return next((read_score(stats[name]) for name in _METRICS if name in stats), None)


def _answer(instance: Row, trial: Row, spec: Row, score: float) -> LoggedAnswer:
    references = instance.get("references") or []
    texts = [read_text(reference.get("output")) or "" for reference in references]
    right = [i for i, one in enumerate(references) if "correct" in (one.get("tags") or ())]
    is_choice = len(texts) > len(right) > 0
    options = [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, texts, strict=False)]
    question = read_text(instance.get("input")) or ""
    task = str(spec.get("name") or "").partition(",model=")[0]
    gold = ascii_uppercase[right[0]] if is_choice else texts[right[0]] if right else ""
    return LoggedAnswer(
        candidate=str((spec.get("adapter_spec") or {}).get("model") or ""),
        prompt="\n".join([question, *(options if is_choice else [])]),
        score=score,
        task=task,
        benchmark=task.partition(":")[0],
        answer=gold,
        n_choices=len(texts) if is_choice else None,
        output=trial.get("predicted_text"),
        latency_s=read_amount((trial.get("stats") or {}).get("inference_runtime")),
    )
