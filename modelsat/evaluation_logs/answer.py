"""One answer of an evaluation log, and the count of rows that are not imported."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeGuard


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """One candidate's answer to one question.

    Attributes:
        candidate: name of the model, with its settings if they are part of the name.
        prompt: the question's whole text.
        score: 0 to 1.
        task: kind of question within the benchmark.
        benchmark: name of the benchmark; empty if the log does not say.
        answer: gold answer as text; empty if the log has none.
        n_choices: number of lettered options, or None.
        grader: grader that suits the gold answer, or None for the default.
        output: the candidate's output, or None.
        finish_reason: why generation ended, or None.
        prompt_tokens: tokens of the prompt, or None.
        completion_tokens: tokens of the answer, or None.
        latency_s: seconds until the answer was complete, or None.
        cost_usd: price of the request in US dollars, or None.
        question_id: the benchmark's own id, where the log names questions by it alone.
    """

    candidate: str
    prompt: str
    score: float
    task: str
    benchmark: str = ""
    answer: str = ""
    n_choices: int | None = None
    grader: str | None = None
    output: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    question_id: str = ""


# Both words of each pair: a table that lost only its wrong answers would raise every score.
_SCORE_WORDS = {
    **dict.fromkeys(("true", "pass", "passed", "correct", "yes"), 1.0),
    **dict.fromkeys(("false", "fail", "failed", "incorrect", "wrong", "no"), 0.0),
}


class LeftOut:
    """Counts the rows of a log that are not imported, by reason."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, reason: str, number: int = 1) -> None:
        """Count rows.

        Args:
            reason: why they are not imported, in words for the user.
            number: how many.
        """
        self.counts[reason] += number


class Reader(Protocol):
    """Reads one format: a function of paths that yields answers as it reads them."""

    def __call__(self, paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
        """Yield the answers of files and folders.

        Raises:
            ArtifactError: a file is not of this format.
        """


def read_score(value: Any) -> float | None:
    """Return a score between 0 and 1; None if the value is not a score.

    Inspect writes letters: C correct, P partially correct, I incorrect, N no answer.
    """
    if isinstance(value, str):
        letters = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
        if value in letters:
            return letters[value]
        if value.lower() in _SCORE_WORDS:
            return _SCORE_WORDS[value.lower()]
        value = _number(value)
    if not isinstance(value, bool | int | float):
        return None
    try:
        score = float(value)
    except OverflowError:
        return None
    return score if math.isfinite(score) and 0 <= score <= 1 else None


def read_count(value: Any) -> int | None:
    """Return a count of tokens or options; None if the value is not a count."""
    value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and value >= 0 else None


def read_amount(value: Any) -> float | None:
    """Return a time or a price; None if the value is negative or not a number."""
    value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _number(value: Any) -> Any:
    """Return the number in a text, as CSV files hold numbers; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return None


def read_output(value: Any) -> str | None:
    """Return the text of an answer; of a chat, its last message by the assistant."""
    if _is_chat(value):
        said = [message for message in value if message.get("role") == "assistant"]
        return read_text(said[-1]) if said else None
    return read_text(value)


def read_text(value: Any) -> str | None:
    """Return the text of a value: itself, a number's, or that of a chat's messages.

    A chat is the text of its messages up to the last one by a user, line by line: conversations
    that differ before it are different questions. System messages are left out.
    """
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, dict):
        return read_text(value.get("content", value.get("text", value.get("prompt"))))
    if isinstance(value, list):
        if _is_chat(value):
            value = _up_to_last_user(value)
        texts = [text for part in value if (text := read_text(part)) is not None]
        return "\n".join(texts) if texts else None
    return None


def _is_chat(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(message, dict) and "role" in message for message in value)
    )


def _up_to_last_user(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    said = [one for one in messages if one["role"] not in ("system", "developer")]
    while said and said[-1]["role"] != "user":
        said.pop()
    return said
