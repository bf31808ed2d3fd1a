"""Logs of Inspect (``.eval`` archives, and ``.json`` logs of older releases).

Several epochs of a sample are one outcome, their mean. The first scorer counts. Of several logs of
one task, as retries leave them, the newest counts.
"""

import json
import re
import zipfile
import zlib
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
_UNREADABLE = (
    *(OSError, EOFError, KeyError, ValueError, NotImplementedError),
    *(zlib.error, zipfile.BadZipFile),
)
# Entries of samples: one file each, in the newest releases a folder with more beside it.
_SAMPLE = re.compile(r"samples/(?P<id>.+)_epoch_\d+(?:\.json|/sample\.json)\Z", re.DOTALL)
_REASONS = {"max_tokens": "length", "model_length": "length", "stop": "stop"}


def read_inspect(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield one answer for each sample of the logs."""
    # Names begin with the date: the newest log of a task comes first and counts.
    files = files_in(paths, "*.eval", "*.json")
    for path in sorted(files, key=lambda path: path.name, reverse=True):
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
        names = set(archive.namelist())
        # A run that was cancelled has no header.
        start = "header.json" if "header.json" in names else "_journal/start.json"
        header = json.loads(archive.read(start))
    except _UNREADABLE as error:
        raise ArtifactError(f"{path} is not a readable Inspect log: {error}") from None
    by_sample: dict[str, list[str]] = {}
    for name in sorted(names):
        if found := _SAMPLE.match(name):
            by_sample.setdefault(found["id"], []).append(name)

    def read() -> Iterator[list[Sample]]:
        with archive:
            for entries in by_sample.values():
                try:
                    epochs = [json.loads(archive.read(name)) for name in entries]
                except _UNREADABLE as error:
                    raise ArtifactError(f"{path} is not a readable Inspect log: {error}") from None
                yield epochs

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
    output = sample.get("output") or {}
    first: Sample = next(iter(output.get("choices") or []), {})
    usage = (sample.get("model_usage") or {}).get(candidate) or output.get("usage") or {}
    return LoggedAnswer(
        candidate=candidate,
        prompt="\n".join([read_text(sample.get("input")) or "", *options]).strip(),
        score=score,
        task=task,
        benchmark=task.rpartition("/")[2],
        answer=_gold(sample.get("target")),
        n_choices=len(choices) or None,
        output=output.get("completion") or read_text(first.get("message")),
        finish_reason=_REASONS.get(str(first.get("stop_reason"))),
        prompt_tokens=read_count(usage.get("input_tokens")),
        completion_tokens=read_count(usage.get("output_tokens")),
        latency_s=read_amount(output.get("time")),
        cost_usd=read_amount(usage.get("total_cost")),
    )


def _gold(target: Any) -> str:
    """Return the gold answer; several are a JSON list."""
    if isinstance(target, list):
        return str(target[0]) if len(target) == 1 else json.dumps(target)
    return str(target or "")
