"""Capability cards: one statement per core task, built from graded outcomes."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from modelsat.aptitude.tasks import TaskSet
from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.schemas import CARDS
from modelsat.artifacts.store import read_table, write_table
from modelsat.errors import ArtifactError, GradingError, ZooError
from modelsat.grading.grade import Kind

UNPARSABLE, TRUNCATED = Kind.UNPARSABLE.value, Kind.TRUNCATED.value  # in the column "failure"
_LATER_FIELDS = ("num_truncated", "graders")  # of a statement; cards of earlier releases lack them


@dataclass(frozen=True)
class Statement:
    """A card's statement about a core task.

    Attributes:
        task: name of the core task.
        description: its five keywords.
        num_correct: correct answers; fractional if outcomes are.
        num_shots: graded answers, including unparsable and truncated answers.
        num_unparsable: complete answers that name no result; they count as wrong.
        num_failed: questions without an answer; they are not counted anywhere else.
        num_truncated: answers that were cut off before a result; they count as wrong.
        graders: what graded the answers if it was not the default: names, as "code, math".
    """

    task: str
    description: str
    num_correct: float
    num_shots: int
    num_unparsable: int = 0
    num_failed: int = 0
    num_truncated: int = 0
    graders: str = ""

    @property
    def accuracy_fraction(self) -> float:
        """Share of graded answers that are correct, 0..1."""
        return self.num_correct / self.num_shots

    def text(self) -> str:
        """Return the statement in the format of the paper's capability text."""
        return f"accuracy {self.accuracy_fraction:.1%} on {self.task}: {self.description}"


@dataclass(frozen=True)
class Card:
    """The aptitude test result of one candidate.

    Attributes:
        candidate: its name.
        tasks_hash: hash of the aptitude test's task set.
        statements: one per core task, apart from tasks that the candidate cannot read.
        notes: free text for people; routers do not read it.
        provenance: origin of the card.
    """

    candidate: str
    tasks_hash: str
    statements: tuple[Statement, ...]
    notes: str = ""
    provenance: str = ""

    @property
    def card_version(self) -> str:
        """Hash of the card's content, without the candidate's name and provenance."""
        # float: 15 and the 15.0 that is read back from a file are the same count.
        statements = [
            {
                name: float(value) if name == "num_correct" else value
                for name, value in vars(statement).items()
                if value or name not in _LATER_FIELDS
            }
            for statement in self.statements
        ]
        return content_hash(
            {"tasks_hash": self.tasks_hash, "statements": statements, "notes": self.notes}
        )

    @property
    def accuracy_fraction(self) -> float:
        """Share of correct answers over all tasks, 0..1."""
        shots = sum(statement.num_shots for statement in self.statements)
        return sum(statement.num_correct for statement in self.statements) / shots

    def text(self) -> str:
        """Return the whole card as text for people."""
        lines = [statement.text() for statement in self.statements]
        return "\n".join([*lines, self.notes] if self.notes else lines)

    def as_row(self) -> dict[str, Any]:
        """Return the card as a row of the cards table, which is also its JSON document."""
        return {
            "candidate": self.candidate,
            "card_version": self.card_version,
            "tasks_hash": self.tasks_hash,
            "statements": [vars(statement) for statement in self.statements],
            "notes": self.notes,
            "provenance": self.provenance,
        }


def build_cards(
    outcomes: pa.Table,
    tasks: TaskSet,
    *,
    not_for_all: Container[str] = (),
    max_failed_fraction: float = 0.05,
    notes: Mapping[str, str] = MappingProxyType({}),
    provenance: str = "",
) -> tuple[Card, ...]:
    """Aggregate outcomes on the core tasks' questions into one card per candidate.

    Args:
        outcomes: outcomes table; rows of other questions are ignored.
        tasks: the aptitude test.
        not_for_all: ids of questions that a candidate may be unable to read, such as those with
            images. A candidate without outcomes on a task of such questions gets no statement
            about it, which routers read as no evidence.
        max_failed_fraction: largest share of questions that may fail.
        notes: free text for people, by candidate.
        provenance: free text stored with each card.

    Raises:
        ZooError: a candidate with notes has no outcomes.
        GradingError: a candidate failed on too many questions, lacks a question, has two
            outcomes for a question, or has correctness outside 0..1.
    """
    question_ids = set(tasks.question_ids)
    answers: dict[str, dict[str, dict[str, Any]]] = {}
    columns = outcomes.select(["candidate", "question_id", "correct", "failure", "grader"])
    for row in columns.to_pylist():
        if row["question_id"] not in question_ids:
            continue
        by_question = answers.setdefault(row["candidate"], {})
        if row["question_id"] in by_question:
            raise GradingError(
                f"candidate {row['candidate']!r} has two outcomes for {row['question_id']!r} "
                "(two sources?); keep one source"
            )
        by_question[row["question_id"]] = row
    if not answers:
        raise GradingError(
            "the outcomes contain no answer to any aptitude question; pass the outcomes of the "
            f"task set with hash {tasks.tasks_hash}"
        )
    unknown = sorted(set(notes) - set(answers))
    if unknown:
        raise ZooError(
            f"notes for {', '.join(unknown)}, but no outcome on the aptitude test; candidates "
            f"with outcomes: {', '.join(sorted(answers))}"
        )
    cards = (
        _build_card(name, answers[name], tasks, not_for_all, max_failed_fraction, provenance)
        for name in sorted(answers)
    )
    return tuple(replace(card, notes=notes.get(card.candidate, "")) for card in cards)


def _build_card(
    candidate: str,
    answers: dict[str, dict[str, Any]],
    tasks: TaskSet,
    not_for_all: Container[str],
    max_failed_fraction: float,
    provenance: str,
) -> Card:
    asked = [q for q in tasks.question_ids if q in answers or q not in not_for_all]
    missing = [q for q in asked if q not in answers]
    if missing:
        raise GradingError(
            f"candidate {candidate!r} has no outcome for {len(missing)} of "
            f"{len(tasks.question_ids)} aptitude questions, the first is {missing[0]!r}; "
            "profile it on the complete test"
        )
    num_failed = sum(answers[q]["correct"] is None for q in asked)
    if num_failed > max_failed_fraction * len(asked):
        raise GradingError(
            f"candidate {candidate!r} failed on {num_failed} of {len(asked)} "
            f"aptitude questions; at most {max_failed_fraction:.0%} may fail: profile it again"
        )
    statements = []
    for task in tasks.tasks:
        rows = [answers[q] for q in task.question_ids if q in answers]
        if not rows:
            continue
        graded = [row for row in rows if row["correct"] is not None]
        if not graded:
            raise GradingError(
                f"candidate {candidate!r} has no graded answer for task {task.task!r}; "
                "profile it again"
            )
        for row in graded:
            if not 0.0 <= row["correct"] <= 1.0:
                raise GradingError(
                    f"candidate {candidate!r}, question {row['question_id']!r}: correctness "
                    f"{row['correct']} is outside 0..1"
                )
        statements.append(
            Statement(
                task=task.task,
                description=task.description,
                num_correct=float(sum(row["correct"] for row in graded)),
                num_shots=len(graded),
                num_unparsable=sum(row["failure"] == UNPARSABLE for row in graded),
                num_failed=len(rows) - len(graded),
                num_truncated=sum(row["failure"] == TRUNCATED for row in graded),
                graders=", ".join(sorted({row["grader"] for row in graded if row["grader"]})),
            )
        )
    return Card(candidate, tasks.tasks_hash, tuple(statements), provenance=provenance)


def write_cards(cards: Sequence[Card], path: str | Path) -> None:
    """Write the cards artifact atomically."""
    write_table(CARDS, [card.as_row() for card in cards], path)


def read_cards(path: str | Path, tasks_hashes: Sequence[str] | None = None) -> dict[str, Card]:
    """Read a cards artifact.

    Args:
        path: parquet file.
        tasks_hashes: allowed task sets; all cards must share a single one. None allows any.

    Returns:
        Cards by candidate, in the order of the file.

    Raises:
        ArtifactError: the file is unreadable, has no card, a card does not match its hash, or
            comes from another task set.
    """
    cards = {}
    for row in read_table(CARDS, path).to_pylist():
        card = Card(
            candidate=row["candidate"],
            tasks_hash=row["tasks_hash"],
            statements=tuple(map(_statement, row["statements"])),
            notes=row["notes"] or "",
            provenance=row["provenance"] or "",
        )
        if card.card_version != row["card_version"]:
            raise ArtifactError(
                f"{path}: card of {card.candidate!r} has version {row['card_version']} but its "
                f"content has hash {card.card_version}; it was edited or is corrupt"
            )
        cards[card.candidate] = card
    if not cards:
        raise ArtifactError(f"{path} has no card")
    check_same_tasks(tuple(cards.values()), tasks_hashes, source=str(path))
    return cards


def _statement(stored: Mapping[str, Any]) -> Statement:
    return Statement(**{name: value for name, value in stored.items() if value is not None})


def check_same_tasks(
    cards: Sequence[Card], tasks_hashes: Sequence[str] | None = None, *, source: str
) -> None:
    """Check that all cards come from the same, allowed task set.

    Args:
        cards: cards to check.
        tasks_hashes: allowed task sets; None allows any.
        source: file or other origin of the cards, for the error message.

    Raises:
        ArtifactError: a card comes from another task set; names the card and the hashes.
    """
    for card in cards:
        expected = tasks_hashes
        if expected is None or card.tasks_hash in expected:
            expected = (cards[0].tasks_hash,)
        if card.tasks_hash not in expected:
            raise ArtifactError(
                f"{source}: card of {card.candidate!r} comes from task set {card.tasks_hash}; "
                f"expected {' or '.join(expected)}: profile the candidate on the same aptitude test"
            )


def select_cards(cards: dict[str, Card], names: Sequence[str] | None) -> tuple[Card, ...]:
    """Return the cards of the named candidates, or all cards if ``names`` is None.

    Raises:
        ZooError: the list is empty, or a name is duplicated or has no card; the message lists
            the names that have a card.
    """
    if names is None:
        return tuple(cards.values())
    if not names:
        raise ZooError("the list of candidates is empty; name at least one, or omit it for all")
    if len(set(names)) < len(names):
        raise ZooError(f"duplicate candidate in {', '.join(names)}; names must be unique")
    unknown = [name for name in names if name not in cards]
    if unknown:
        raise ZooError(f"no card for {', '.join(unknown)}; there are cards for {', '.join(cards)}")
    return tuple(cards[name] for name in names)
