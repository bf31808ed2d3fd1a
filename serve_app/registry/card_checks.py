"""Checks of a card before it replaces another or joins a served zoo.

Cards come from outside. Their numbers may be wrong, for instance from a run with a broken chat
template; their text reaches the router's encoder and people's terminals.
"""

import unicodedata
from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from pydantic import Field, field_validator

from modelsat.artifacts.hashing import HASH_LENGTH
from modelsat.capability.cards import Card, Statement
from modelsat.config import FrozenConfig, parse_config
from modelsat.errors import ConfigError, ZooError

_MAX_NAME_CHARS = 200
_MAX_DESCRIPTION_CHARS = 500
_MAX_NOTES_CHARS = 2000
_MAX_PROVENANCE_CHARS = 20_000
_MAX_STATEMENTS = 1000
_MAX_COUNT = 1_000_000


class _StatementDocument(FrozenConfig):
    task: str = Field(min_length=1, max_length=_MAX_NAME_CHARS)
    description: str = Field(max_length=_MAX_DESCRIPTION_CHARS)
    num_correct: float = Field(ge=0, allow_inf_nan=False)
    num_shots: int = Field(ge=1, le=_MAX_COUNT)
    num_unparsable: int = Field(default=0, ge=0, le=_MAX_COUNT)
    num_failed: int = Field(default=0, ge=0, le=_MAX_COUNT)
    num_truncated: int = Field(default=0, ge=0, le=_MAX_COUNT)
    graders: str = Field(default="", max_length=_MAX_NAME_CHARS)


class _CardDocument(FrozenConfig):
    """A card as ``modelsat cards show --json`` prints it."""

    candidate: str = Field(min_length=1, max_length=_MAX_NAME_CHARS)
    tasks_hash: str = Field(min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    statements: tuple[_StatementDocument, ...] = Field(min_length=1, max_length=_MAX_STATEMENTS)
    notes: str = Field(default="", max_length=_MAX_NOTES_CHARS)
    provenance: str = Field(default="", max_length=_MAX_PROVENANCE_CHARS)
    card_version: str | None = None
    accuracy_fraction: float | None = None  # printed for people; follows from the counts

    @field_validator("statements")
    @classmethod
    def _possible(
        cls, statements: tuple[_StatementDocument, ...]
    ) -> tuple[_StatementDocument, ...]:
        for statement in statements:
            num_without = statement.num_unparsable + statement.num_truncated
            if max(statement.num_correct, num_without) > statement.num_shots:
                raise ValueError(
                    f"task {statement.task!r} counts more answers than its {statement.num_shots} "
                    "shots"
                )
        return statements


def parse_card(document: object) -> Card:
    """A card from the JSON document that ``modelsat cards show --json`` prints for it.

    Raises:
        ZooError: a field is missing, of another type, too long or impossible, text holds control
            characters, or the content does not match the version it states.
    """
    try:
        parsed = parse_config(_CardDocument, document, source="card")
    except ConfigError as error:
        raise ZooError(str(error)) from None
    card = Card(
        candidate=parsed.candidate,
        tasks_hash=parsed.tasks_hash,
        statements=tuple(Statement(**s.model_dump()) for s in parsed.statements),
        notes=parsed.notes,
        provenance=parsed.provenance,
    )
    if parsed.card_version not in (None, card.card_version):
        raise ZooError(
            f"card of {card.candidate!r} states version {parsed.card_version} but its content "
            f"hashes to {card.card_version}; it was edited or is corrupt"
        )
    return card


def check_text(card: Card, others: Sequence[Card]) -> None:
    """Refuse a card whose text says anything but what the zoo's other cards say.

    The router reads tasks and descriptions. They belong to the aptitude test, so they are the
    same on every card: one that differs brings text of its own to the encoder.

    Raises:
        ZooError: text is too long or holds control characters, or tasks or descriptions are not
            those of the other cards.
    """
    texts = [("notes", card.notes, _MAX_NOTES_CHARS)]
    texts.append(("provenance", card.provenance, _MAX_PROVENANCE_CHARS))
    for statement in card.statements:
        texts.append(("task", statement.task, _MAX_NAME_CHARS))
        texts.append(("description", statement.description, _MAX_DESCRIPTION_CHARS))
    for what, text, limit in texts:
        if len(text) > limit:
            raise ZooError(
                f"card of {card.candidate!r}: {what} has {len(text)} characters; at most {limit} "
                "are allowed"
            )
        if any(unicodedata.category(char)[0] == "C" and char not in "\n\t" for char in text):
            raise ZooError(
                f"card of {card.candidate!r}: {what} holds control characters; remove them"
            )
    for other in others:
        if _tasks_of(card) != _tasks_of(other):
            raise ZooError(
                f"card of {card.candidate!r} names or describes its tasks differently than the "
                f"card of {other.candidate!r}; profile it on the zoo's own aptitude test"
            )


def check_shift(before: Card, after: Card, max_shift: float) -> None:
    """Refuse a card whose accuracy moved more than chance allows.

    Overall accuracy rests on about 1,000 answers, so 5 standard errors are about 11 points: no
    repetition of the test moves it so far, while a wrong chat template or a mixed-up file does.
    One task rests on 20 answers; the largest shift of 50 tasks is by chance alone over 2
    standard errors, so it is compared to the bound that holds all of them at the level of the
    overall one (Bonferroni).

    Args:
        before: the candidate's card so far.
        after: the one to replace it, with the same tasks.
        max_shift: largest overall shift, in standard errors of a difference of two proportions
            (pooled). Both cards answer the same questions, which makes the true error smaller.

    Raises:
        ZooError: names accuracies and shift.
    """
    overall = _shift(_totals(before), _totals(after))
    if overall > max_shift:
        raise ZooError(
            f"accuracy of {after.candidate!r} moved from {before.accuracy_fraction:.1%} to "
            f"{after.accuracy_fraction:.1%}, {overall:.1f} standard errors; at most "
            f"{max_shift:g} are plausible: check how it was profiled, or force the change"
        )
    bound = _bonferroni(max_shift, len(after.statements))
    for old, new in zip(before.statements, after.statements, strict=True):
        shift = _shift((old.num_correct, old.num_shots), (new.num_correct, new.num_shots))
        if shift > bound:
            raise ZooError(
                f"accuracy of {after.candidate!r} on task {new.task!r} moved from "
                f"{old.accuracy_fraction:.1%} to {new.accuracy_fraction:.1%}, {shift:.1f} standard "
                f"errors; at most {bound:.1f} are plausible for one of {len(after.statements)} "
                "tasks: check how it was profiled, or force the change"
            )


def _tasks_of(card: Card) -> list[tuple[str, str]]:
    return [(statement.task, statement.description) for statement in card.statements]


def _totals(card: Card) -> tuple[float, int]:
    return (
        sum(statement.num_correct for statement in card.statements),
        sum(statement.num_shots for statement in card.statements),
    )


def _shift(before: tuple[float, int], after: tuple[float, int]) -> float:
    """Difference of two proportions in its own standard errors."""
    (correct_before, shots_before), (correct_after, shots_after) = before, after
    pooled = (correct_before + correct_after) / (shots_before + shots_after)
    error = sqrt(pooled * (1 - pooled) * (1 / shots_before + 1 / shots_after))
    difference = abs(correct_before / shots_before - correct_after / shots_after)
    return difference / error if error > 0 else 0.0


def _bonferroni(bound: float, num_tests: int) -> float:
    """The bound at which ``num_tests`` tests together err as often as one at ``bound``."""
    tail_fraction = NormalDist().cdf(-bound) / num_tests
    # Beyond 37 standard errors the tail is no number any more, and no shift is so large.
    return -NormalDist().inv_cdf(tail_fraction) if tail_fraction > 0 else bound
