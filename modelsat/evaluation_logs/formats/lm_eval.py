"""Sample logs of lm-evaluation-harness (``--log_samples``).

Since 0.4.3 a model's folder holds ``results_DATE.json`` and ``samples_TASK_DATE.jsonl`` for each
task, with a row for each question and filter; before, ``results.json`` and ``..._TASK.jsonl``, each
a JSON list. The prompt that a model got holds worked examples and its own chat template, so
questions are aligned by the document that they were made from.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer, read_score, read_text
from modelsat.evaluation_logs.rows import Row, files_in, json_document, json_lines, json_rows

_SAMPLES = re.compile(r"samples_(?P<task>.+?)(?:_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl?\Z")
# Where documents of its tasks hold the question, the options, and what may stand before it.
_QUESTIONS = ("question", "problem", "query", "prompt", "instruction", "goal", "input", "text")
_OPTIONS = ("choices", "options", "endings")
_CONTEXTS = ("passage", "context", "ctx", "story")
# Of several metrics the one that says whether the answer was right.
_METRICS = ("exact_match", "acc", "pass@1", "em", "correct", "prompt_level_strict_acc", "acc_norm")
# Of several filters the one that reads most answers.
_FILTERS = ("flexible-extract", "custom-extract", "none")
_MODEL_ARGUMENTS = ("pretrained", "model", "path", "engine", "peft", "delta")
_HASHES = "####"  # before the result of a solution, as in GSM8K


def read_lm_eval(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of sample files; of several runs of a task the newest counts."""
    newest: dict[tuple[Path, str], Path] = {}
    for path in sorted(files_in(paths, "*.jsonl"), key=_date):
        key = (path.parent, _task(path))
        if key in newest:
            left_out.add("files of earlier runs of a task")
        newest[key] = path
    candidates = {folder: _candidate(folder) for folder, _ in newest}
    for (folder, task), path in newest.items():
        yield from _answers(path, candidates[folder], task, left_out)


def _answers(path: Path, candidate: str, task: str, left_out: LeftOut) -> Iterator[LoggedAnswer]:
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


def _date(path: Path) -> str:
    found = _SAMPLES.match(path.name)
    return (found and found["date"]) or ""


def _task(path: Path) -> str:
    """Return the task of a file; the names of older files end with one of the results' tasks."""
    found = _SAMPLES.match(path.name)
    if found:
        return found["task"]
    results = path.with_name("results.json")
    tasks = (json_document(results).get("results") or {}) if results.exists() else {}
    fitting = [task for task in tasks if path.stem.endswith(f"_{task}")]
    return max(fitting, key=len, default=path.stem)


def _candidate(folder: Path) -> str:
    """Return the model of a folder: as its results name it, otherwise as the folder is named."""
    for path in sorted(folder.glob("results*.json"), reverse=True):
        results = json_document(path)
        if isinstance(results.get("model_name"), str):
            return str(results["model_name"])
        arguments = (results.get("config") or {}).get("model_args") or {}
        if isinstance(arguments, str):
            arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
        named = [arguments[name] for name in _MODEL_ARGUMENTS if name in arguments]
        if named:
            return str(named[0])
    return folder.name.replace("__", "/")


def _rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        is_list = file.read(1) == b"["
    return json_rows(path) if is_list else json_lines(path)


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
    responses = row.get("filtered_resps") or row.get("resps") or []
    gold, grader, output = _gold(row.get("target", "")), None, read_text(row.get("resps")) or ""
    is_choice = 1 < len(responses) <= len(ascii_uppercase) and all(map(_is_likelihood, responses))
    options = _options(doc, row) if is_choice else []
    if is_choice:
        output = ascii_uppercase[_likeliest(responses)]
        if gold.isdecimal() and int(gold) < len(responses):
            gold = ascii_uppercase[int(gold)]
    elif _HASHES in gold:
        gold, grader = gold.rpartition(_HASHES)[2].strip(), "math"
    return LoggedAnswer(
        candidate=candidate,
        prompt=_question(doc, options) or _first_argument(row),
        score=score,
        task=task,
        benchmark=task.partition("_")[0],
        answer=gold,
        n_choices=len(responses) if is_choice else None,
        grader=grader,
        output=output,
    )


def _gold(target: Any) -> str:
    """Return a gold answer; several references, also as Python writes a list, as a JSON list."""
    if isinstance(target, str) and target.startswith("["):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            target = ast.literal_eval(target)
    if isinstance(target, list) and target and all(isinstance(one, str) for one in target):
        return json.dumps(target, ensure_ascii=False)
    return str(target)


def _question(doc: Mapping[str, Any], options: Sequence[str]) -> str:
    """Return the question of a document with its options; empty if its fields are unknown."""
    stem = next((text for name in _QUESTIONS if (text := read_text(doc.get(name)))), None)
    contexts = [text for name in _CONTEXTS if (text := read_text(doc.get(name)))]
    if stem is None and not (contexts and options):
        return ""
    lines = [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([*contexts, *([stem] if stem else []), *lines])


def _options(doc: Mapping[str, Any], row: Row) -> list[str]:
    """Return the texts of the options: of the document, otherwise what was tried as an answer.

    None if what was tried are letters, whose texts the question holds.
    """
    value = next((doc[name] for name in _OPTIONS if doc.get(name)), None)
    if isinstance(value, dict):  # {"text": [...], "label": [...]}
        value = value.get("text")
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return value
    tried = [str(argument.get("arg_1", "")).strip() for argument in _arguments(row)]
    return [] if all(len(text) == 1 for text in tried) else tried


def _arguments(row: Row) -> list[dict[str, Any]]:
    """Return what the model was asked, of either form: context and continuation by ``arg_N``."""
    arguments = row.get("arguments") or []
    if isinstance(arguments, dict):
        return [one for one in arguments.values() if isinstance(one, dict)]
    return [{f"arg_{i}": part for i, part in enumerate(one)} for one in arguments]


def _is_likelihood(response: Any) -> bool:
    """Return whether a response is the log-likelihood of an option, and whether it is greedy."""
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    return (
        isinstance(response, list) and len(response) == 2 and str(response[1]) in ("True", "False")
    )


def _likeliest(responses: Sequence[Any]) -> int:
    """Return the option with the greatest log-likelihood; the first of equals, as lm-eval does."""
    numbers = []
    for response in responses:
        while isinstance(response, list):
            response = response[0]
        numbers.append(float(response))
    return numbers.index(max(numbers))


def _first_argument(row: Row) -> str:
    """Return the text that the model got."""
    first = next(iter(_arguments(row)), {}).get("arg_0")
    return read_text(first) or ""
