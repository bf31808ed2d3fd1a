"""Scores of a text, and the client that gets them. Imports neither torch nor Ray."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

# Longer than a token of prose in any tokenizer of a router. A token may be longer in runs of one
# character; then fewer tokens than the router could read are scored.
_CHARS_PER_TOKEN = 16


@dataclass(frozen=True)
class Scores:
    """P(correct) of one text.

    Attributes:
        zoo_version: version of the zoo whose cards were scored.
        by_candidate: P(correct), 0..1, of every candidate that has a card; may hold NaN.
    """

    zoo_version: int
    by_candidate: Mapping[str, float]


@dataclass(frozen=True)
class StatementNote:
    """A statement of a card and its relevance to a text.

    Attributes:
        task: name of the core task.
        relevance_fraction: its share of the relevance of all statements to the text, 0..1.
        accuracy_fraction: share of correct answers on the card, 0..1.
        num_shots: graded answers behind it.
    """

    task: str
    relevance_fraction: float
    accuracy_fraction: float
    num_shots: int


@dataclass(frozen=True)
class ExplainedScores(Scores):
    """Scores and the statements behind them.

    Attributes:
        statements: the most relevant statements of every candidate, most relevant first.
    """

    statements: Mapping[str, tuple[StatementNote, ...]] = field(default_factory=dict)


class ScorerFailure(Exception):
    """The scorer returned no scores."""


class ScorerClient(Protocol):
    """Client of a scorer."""

    async def score(self, text: str) -> Scores:
        """Return the scores of a text.

        Raises:
            ScorerFailure: the scorer is dead, refuses, or raised.
        """

    async def explain(self, text: str, top_k: int) -> ExplainedScores:
        """Return the scores of a text with the ``top_k`` most relevant statements of each card.

        Raises:
            ScorerFailure: the scorer is dead, refuses, or raised.
        """


def readable_chars(max_tokens: int) -> int:
    """Most characters of a text that are sent to a router that reads ``max_tokens`` tokens."""
    return _CHARS_PER_TOKEN * max_tokens


def readable_part(text: str, max_tokens: int) -> str:
    """Return the start of a text, as far as the router may read it.

    Long prompts are truncated to ``16 * max_tokens`` characters; the router reads their first
    ``max_tokens`` tokens, as in training. Leading white space, which tokenizers may drop, does not
    count.
    """
    limit = readable_chars(max_tokens)
    if len(text) <= limit:
        return text
    return (text.lstrip() if text[0].isspace() else text)[:limit]
