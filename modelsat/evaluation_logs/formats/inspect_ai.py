"""Logs of Inspect (``.eval`` archives, and ``.json`` logs of older releases).

Several epochs of a sample are one outcome, their mean. The first scorer counts.
"""

import json
import zipfile
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
    read_count,
    read_score,
    read_text,
)
from modelsat.evaluation_logs.rows import files_in, json_document

Sample = dict[str, Any]


def read_inspect(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield one answer for each sample of a log."""
    for path in files_in(paths, "*.eval", "*.json"):
        header, samples = _archive(path) if path.suffix == ".eval" else _document(path)
        facts = header.get("eval") or {}
        candidate, task = str(facts.get("model") or ""), str(facts.get("task") or "")
        for epochs in samples:
            scores = [score for sample in epochs if (score := _score(sample)) is not None]
            if not scores:
                left_out.add("samples without a score between 0 and 1")
                continue
            yield _answer(epochs[0], candidate, task, mean(scores))


def _archive(path: Path) -> tuple[Sample, Iterator[list[Sample]]]:
    """Return header and samples, the epochs of one sample together, one sample in memory."""
    try:
        archive = zipfile.ZipFile(path)
        header = json.loads(archive.read("header.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} is not a complete Inspect log: {error}") from None
    by_sample: dict[str, list[str]] = {}
    for name in archive.namelist():
        if name.startswith("samples/") and name.endswith(".json"):
            by_sample.setdefault(name.rpartition("_epoch_")[0], []).append(name)

    def read() -> Iterator[list[Sample]]:
        with archive:
            for names in by_sample.values():
                yield [json.loads(archive.read(name)) for name in sorted(names)]

    return header, read()


def _document(path: Path) -> tuple[Sample, Iterator[list[Sample]]]:
    log = json_document(path)
    if not isinstance(log, dict) or "eval" not in log:
        raise ArtifactError(f"{path} is not an Inspect log: it has no `eval`")
    by_sample: dict[str, list[Sample]] = {}
    for sample in log.get("samples") or []:
        by_sample.setdefault(str(sample.get("id")), []).append(sample)
    return log, iter(by_sample.values())


def _score(sample: Sample) -> float | None:
    scores = sample.get("scores") or {}
    first = next(iter(scores.values()), sample.get("score"))  # `score`: older releases
    value = first.get("value") if isinstance(first, dict) else first
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    return read_score(value)


def _answer(sample: Sample, candidate: str, task: str, score: float) -> LoggedAnswer:
    choices = sample.get("choices") or []
    options = [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, choices, strict=False)]
    target = sample.get("target")
    output = sample.get("output") or {}
    first: Sample = next(iter(output.get("choices") or []), {})
    usage = output.get("usage") or {}
    limit = {"max_tokens": "length", "stop": "stop"}.get(str(first.get("stop_reason")))
    return LoggedAnswer(
        candidate=candidate,
        prompt="\n".join([read_text(sample.get("input")) or "", *options]).strip(),
        score=score,
        task=task,
        benchmark=task.rpartition("/")[2],
        answer=_gold(target),
        n_choices=len(choices) or None,
        output=output.get("completion") or read_text(first.get("message")),
        finish_reason=limit,
        prompt_tokens=read_count(usage.get("input_tokens")),
        completion_tokens=read_count(usage.get("output_tokens")),
        latency_s=read_amount(output.get("time")),
    )


def _gold(target: Any) -> str:
    """Return the gold answer; several are a JSON list."""
    if isinstance(target, list):
        return str(target[0]) if len(target) == 1 else json.dumps(target)
    return str(target or "")
