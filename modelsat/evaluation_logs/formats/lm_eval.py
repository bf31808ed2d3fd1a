"""Sample logs of lm-evaluation-harness (``--log_samples``).

A folder for each model, named like it with ``__`` for ``/``, holds ``samples_TASK_DATE.jsonl``. A
file has a row for each question and filter. The prompt that a model got holds worked examples and
its own chat template, so questions are aligned by the document they were made from.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer, read_score, read_text
from modelsat.evaluation_logs.rows import Row, files_in, json_lines, json_rows

_FILE_NAME = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+)?\.jsonl?\Z")
# Where documents of its tasks hold the question, the options, and what may stand before it.
_QUESTIONS = ("question", "problem", "query", "prompt", "instruction", "goal", "input", "text")
_OPTIONS = ("choices", "options", "endings")
_CONTEXTS = ("passage", "context", "ctx", "story")
# Of several metrics the one that says whether the answer was right.
_METRICS = ("exact_match", "acc", "pass@1", "em", "correct", "prompt_level_strict_acc", "acc_norm")
# Of several filters the one that reads most answers.
_FILTERS = ("flexible-extract", "custom-extract", "none")


def read_lm_eval(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of sample files."""
    for path in files_in(paths, "samples_*.jsonl", "samples_*.json"):
        found = _FILE_NAME.match(path.name)
        task = found["task"] if found else path.stem
        candidate = path.parent.name.replace("__", "/")
        chosen = _chosen_filter(path)
        for row in _rows(path):
            if row.get("filter", chosen) != chosen:
                left_out.add("rows of further filters")
                continue
            score = _score(row)
            if score is None:
                left_out.add("rows without a metric between 0 and 1")
            else:
                yield _answer(row, candidate, task, score)


def _rows(path: Path) -> Iterator[Row]:
    return json_lines(path) if path.suffix == ".jsonl" else json_rows(path)


def _chosen_filter(path: Path) -> str:
    """Return the filter to read; the rows of one filter follow those of another."""
    names = {str(row.get("filter", "none")) for row in _rows(path)}
    return next((name for name in _FILTERS if name in names), min(names, default="none"))


def _score(row: Row) -> float | None:
    names = [name for name in _METRICS if name in row] or list(row.get("metrics") or ())
    return read_score(row.get(names[0])) if names else None


def _answer(row: Row, candidate: str, task: str, score: float) -> LoggedAnswer:
    found = row.get("doc")
    doc = found if isinstance(found, dict) else {}
    options = _options(doc)
    responses = row.get("filtered_resps") or row.get("resps") or []
    gold = row.get("target")
    is_choice = bool(options) and len(responses) == len(options)
    if is_choice:
        output = ascii_uppercase[_likeliest(responses)]
        if isinstance(gold, int) and not isinstance(gold, bool) and gold < len(options):
            gold = ascii_uppercase[gold]
    else:
        output = read_text(responses) or ""
    return LoggedAnswer(
        candidate=candidate,
        prompt=_question(doc, options) or _first_argument(row),
        score=score,
        task=task,
        benchmark=task.partition("_")[0],
        answer=str(gold or ""),
        n_choices=len(options) if is_choice else None,
        output=output,
    )


def _question(doc: Mapping[str, Any], options: Sequence[str]) -> str:
    """Return the question of a document with its options; empty if its fields are unknown."""
    stem = next((text for name in _QUESTIONS if (text := read_text(doc.get(name)))), None)
    contexts = [text for name in _CONTEXTS if (text := read_text(doc.get(name)))]
    if stem is None and not (contexts and options):
        return ""
    lines = [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([*contexts, *([stem] if stem else []), *lines])


def _options(doc: Mapping[str, Any]) -> list[str]:
    value = next((doc[name] for name in _OPTIONS if doc.get(name)), None)
    if isinstance(value, dict):  # {"text": [...], "label": [...]}
        value = value.get("text")
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return []
    return value[: len(ascii_uppercase)]


def _likeliest(responses: Sequence[Any]) -> int:
    """Return the option with the greatest log-likelihood; the first of equals, as lm-eval does."""
    values = [response[0] if isinstance(response, list) else response for response in responses]
    numbers = [float(value) for value in values]
    return numbers.index(max(numbers))


def _first_argument(row: Row) -> str:
    """Return the text that the model got: of either form of ``arguments``."""
    arguments = row.get("arguments")
    first: Any = None
    if isinstance(arguments, dict):
        first = next(iter(arguments.values()), None)
        first = first.get("arg_0") if isinstance(first, dict) else first
    elif isinstance(arguments, list) and arguments:
        first = arguments[0]
        first = first[0] if isinstance(first, list) and first else first
    return read_text(first) or ""
