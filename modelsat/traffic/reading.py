"""Prompts from routing logs, from OpenAI requests in JSON Lines, and from questions tables."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelsat.aptitude.own_requests import FIELDS, check_request
from modelsat.aptitude.prompts import Prompts
from modelsat.artifacts.schemas import QUESTIONS, ROUTING_LOG
from modelsat.artifacts.store import read_kind, read_table
from modelsat.chats import TextRule, text_to_score
from modelsat.errors import ArtifactError
from modelsat.grading.graders import stated_question
from modelsat.traffic.prompt import TrafficPrompt

_SUFFIXES = (".parquet", ".jsonl")
_GRADED = ("answer", "grader", "grader_args", "n_choices")


class PromptReader:
    """Reads prompts and counts the rows that hold none.

    Args:
        rule: the messages of a chat that the router reads, as the endpoint is configured.
        turns_chars: most characters of several messages.

    Attributes:
        left_out: number of rows left out, by reason.
    """

    def __init__(self, rule: TextRule = "last_user", turns_chars: int = 1024) -> None:
        self._rule: TextRule = rule
        self._turns_chars = turns_chars
        self.left_out: Counter[str] = Counter()

    def read(self, files: Iterable[Path]) -> Iterator[TrafficPrompt]:
        """Yield the prompts of files.

        Args:
            files: routing logs or questions tables (``*.parquet``) and OpenAI requests
                (``*.jsonl``), from :func:`prompt_files`.

        Raises:
            ArtifactError: a file is of another kind, or holds a line that is not JSON.
        """
        for path in files:
            if path.suffix == ".jsonl":
                yield from self._requests(path)
            elif read_kind(path) == ROUTING_LOG.name:
                yield from self._logged(path)
            else:
                yield from self._questions(path)

    def _logged(self, path: Path) -> Iterator[TrafficPrompt]:
        for text in read_table(ROUTING_LOG, path)["prompt"].to_pylist():
            if text is None:
                self.left_out["a decision without its prompt"] += 1
            elif text.strip():
                yield TrafficPrompt(text)
            else:
                self.left_out["no text"] += 1

    def _questions(self, path: Path) -> Iterator[TrafficPrompt]:
        for row in read_table(QUESTIONS, path).to_pylist():
            graded = {name: row[name] for name in _GRADED if row[name] is not None}
            is_more = row["request"] or row["images"]
            request = Prompts().chat(row, [str(path.parent)]) if is_more else None
            yield TrafficPrompt(row["prompt"], request, graded, row["question_id"])

    def _requests(self, path: Path) -> Iterator[TrafficPrompt]:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    # A lone surrogate is valid JSON, but no text that can be sent or stored.
                    row = json.loads(line.decode("utf-8-sig"), parse_constant=str)
                    row = json.loads(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
                except (ValueError, RecursionError):
                    raise ArtifactError(f"{path}, line {number}: not valid JSON") from None
                prompt = self._requested(row)
                if prompt is not None:
                    yield prompt

    def _requested(self, row: Any) -> TrafficPrompt | None:
        """Return the prompt of a line: a request, or a line of OpenAI's batch format."""
        body = row.get("body", row) if isinstance(row, Mapping) else None
        if not isinstance(body, Mapping):
            self.left_out["not a request"] += 1
            return None
        if isinstance(body.get("prompt"), str) and "messages" not in body:
            body = {"messages": [{"role": "user", "content": body["prompt"]}]}
        request = {name: body[name] for name in FIELDS if body.get(name) is not None}
        try:
            check_request(request)
        except ValueError as error:
            self.left_out[f"not a chat request: {error}"] += 1
            return None
        text = text_to_score(request["messages"], self._rule, self._turns_chars)
        if not text.strip():
            self.left_out["no text of a user"] += 1
            return None
        graded = {name: row[name] for name in _GRADED if row.get(name) not in (None, "")}
        if graded:
            try:
                graded = _checked(text, graded)
            except (ArtifactError, TypeError):  # without its text, which may quote the row
                self.left_out["an unusable answer, grader or n_choices"] += 1
                return None
        is_plain = request == {"messages": [{"role": "user", "content": text}]}
        return TrafficPrompt(text, None if is_plain else request, graded)


def _checked(text: str, graded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the graded columns in the form of a questions table.

    Raises:
        ArtifactError: the gold answer is wrong by its own grader, or a setting is unusable.
    """
    n_choices = graded.get("n_choices")
    if n_choices is not None and (isinstance(n_choices, bool) or not isinstance(n_choices, int)):
        raise ArtifactError("n_choices is not an integer")
    if not graded.keys() & {"answer", "grader"}:
        return dict(graded)
    stated = stated_question({"question_id": "", "prompt": text, **graded})
    return {name: stated[name] for name in graded}


def prompt_files(paths: Sequence[Path], without: Path) -> Iterator[Path]:
    """Yield the files that are read, those of a folder in the order of their names.

    Args:
        paths: files, and folders that are searched with all folders inside them.
        without: folder to leave out: that of the results may lie among the prompts.

    Raises:
        ArtifactError: a path does not exist, or no file has a known suffix.
    """
    for path in paths:
        if path.is_dir():
            found = sorted(
                file
                for file in path.rglob("*")
                if file.suffix in _SUFFIXES
                and file.is_file()
                and not file.resolve().is_relative_to(without.resolve())
            )
            if not found:
                raise ArtifactError(f"{path} holds no *.parquet and no *.jsonl file")
            yield from found
        elif not path.is_file():
            raise ArtifactError(f"{path} does not exist; give a file or folder with prompts")
        elif path.suffix not in _SUFFIXES:
            raise ArtifactError(f"{path} must be called *.parquet or *.jsonl")
        else:
            yield path
