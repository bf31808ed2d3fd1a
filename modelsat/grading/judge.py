"""A judge at work: it grades answers, and a journal keeps its replies for a later run."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelsat.artifacts.hashing import content_hash
from modelsat.errors import ArtifactError
from modelsat.grading.judging import (
    DEFAULT_RUBRIC,
    Chat,
    Judgement,
    judge_chats,
    read_judgement,
)

_PIECE = 32  # answers between two writes of the journal
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Judge:
    """A model that grades answers.

    Attributes:
        ask: sends chats and returns the replies in their order; None for a failed request.
        identity: JSON values that, besides the chats, change a reply: URL, model, sampling.
        journal: JSON Lines file of its replies; what it holds is not asked again.
        rubric: what scores mean, for questions whose ``grader_args`` have no rubric.
    """

    ask: Callable[[Sequence[Chat]], Sequence[str | None]]
    identity: Sequence[Any]
    journal: Path
    rubric: str = DEFAULT_RUBRIC
    _replies: dict[str, list[str | None]] = field(default_factory=dict)

    def grade(self, answers: Sequence[tuple[Row, str]]) -> list[Judgement]:
        """Grade answers, each a row of a questions table and a candidate's output.

        A reply without a score counts as never given: the next run asks again.
        """
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        self._replies.update(_read_journal(self.journal))
        chats = [
            judge_chats(question, output, self._rubric(question)) for question, output in answers
        ]
        keys = [content_hash([*self.identity, own]) for own in chats]
        missing = {key: own for key, own in zip(keys, chats, strict=True) if not self._has(key)}
        for start in range(0, len(missing), _PIECE):
            self._ask(dict(list(missing.items())[start : start + _PIECE]))
        return [read_judgement(self._replies[key]) for key in keys]

    def _rubric(self, question: Row) -> str:
        args = question.get("grader_args")
        own = json.loads(args).get("rubric") if args and question.get("grader") == "judge" else None
        return own or self.rubric

    def _has(self, key: str) -> bool:
        return key in self._replies and read_judgement(self._replies[key]).score is not None

    def _ask(self, piece: Mapping[str, list[Chat]]) -> None:
        replies = iter(self.ask([chat for own in piece.values() for chat in own]))
        with self.journal.open("a", encoding="utf-8") as file:
            for key, own in piece.items():
                self._replies[key] = [_utf8(next(replies)) for _ in own]
                # On a line of its own, also after one that a killed run has left unfinished.
                file.write("\n" + json.dumps([key, self._replies[key]]))


def read_rubric(path: Path) -> str:
    """Return the text of a file with a rubric.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read the rubric {path}: {error}") from None


def _utf8(reply: str | None) -> str | None:
    return None if reply is None else reply.encode("utf-8", "replace").decode()


def _read_journal(path: Path) -> Iterator[tuple[str, list[str | None]]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            key, replies = json.loads(line)
        except (ValueError, TypeError):  # empty, or the last line of a run that was killed
            continue
        if isinstance(key, str) and isinstance(replies, list):
            yield key, replies
