"""What a scorer answers, and who asks it. Imports neither torch nor Ray."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

# No tokenizer of a router spends this many characters on a token of prose; of runs of one
# sign it may, and then fewer tokens than the router could read are scored.
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
    """A statement of a card, and what it means for one text.

    Attributes:
        task: name of the core task.
        relevance_fraction: its share of the relevance of all statements to the text, 0..1.
        accuracy_fraction: share of correct answers that it states, 0..1.
        num_shots: graded answers behind it.
    """

    task: str
    relevance_fraction: float
    accuracy_fraction: float
    num_shots: int


@dataclass(frozen=True)
class Explanation(Scores):
    """Scores, and the statements they rest on.

    Attributes:
        statements: of every candidate, the statements that mattered most, the first the most.
    """

    statements: Mapping[str, tuple[StatementNote, ...]] = field(default_factory=dict)


class ScorerFailure(Exception):
    """The scorer gave no answer."""


class ScorerClient(Protocol):
    """Asks a scorer."""

    async def score(self, text: str) -> Scores:
        """Scores of a text.

        Raises:
            ScorerFailure: the scorer is dead, refuses, or raised.
        """

    async def explain(self, text: str, top_k: int) -> Explanation:
        """Scores of a text with the ``top_k`` statements of each card that mattered most.

        Raises:
            ScorerFailure: the scorer is dead, refuses, or raised.
        """


def readable_chars(max_tokens: int) -> int:
    """Characters of a text that are sent to a router which reads so many tokens."""
    return _CHARS_PER_TOKEN * max_tokens


def readable_part(text: str, max_tokens: int) -> str:
    """The start of a text that is sent to a router which reads so many tokens.

    The rule for long prompts: the first ``16 * max_tokens`` characters, and of these the
    router reads the first ``max_tokens`` tokens, as it does in training. Leading white space,
    which tokenizers may drop, does not count.
    """
    limit = readable_chars(max_tokens)
    if len(text) <= limit:
        return text
    return (text.lstrip() if text[0].isspace() else text)[:limit]
