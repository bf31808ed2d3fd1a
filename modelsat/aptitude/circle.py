"""The circle test: hard questions asked again with their options in every rotated order.

A question that few candidates of a zoo answer right is often answered right by luck. Whoever
knows the answer finds it wherever it stands; a right answer counts only if it does (the paper's
data refinement).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

import pyarrow as pa

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.errors import ArtifactError, ConfigError, GradingError

LUCKY = "circle test"  # begins the failure column of an answer that did not hold
_SHIFT = re.compile(r"(.*)@rotated-(\d+)", re.DOTALL)


def rotate_hard_questions(
    questions: pa.Table, outcomes: pa.Table, max_solved_fraction: float
) -> pa.Table:
    """Every other rotation of each question that few candidates, but at least one, got right.

    Args:
        questions: questions table; only those with lettered options are looked at.
        outcomes: outcomes table of the zoo; a failed row counts in nothing.
        max_solved_fraction: largest share of candidates (0..1) at which a question is hard.

    Returns:
        Questions table: for a hard question of n options n - 1 rows, ``ID@rotated-1`` and on.

    Raises:
        ConfigError: the share is outside 0..1, or no question is hard.
        ArtifactError: a hard question's options cannot be told from its text.
    """
    if not 0.0 < max_solved_fraction <= 1.0:
        raise ConfigError(
            f"max_solved_fraction {max_solved_fraction:g} is not above 0 and up to 1; a quarter "
            "of the zoo is 0.25"
        )
    graded: dict[str, list[float]] = defaultdict(list)
    for row in outcomes.select(["question_id", "correct"]).to_pylist():
        if row["correct"] is not None:
            graded[row["question_id"]].append(row["correct"])
    rows = []
    for question in questions.to_pylist():
        correct = graded.get(question["question_id"], [])
        if not question["n_choices"] or sum(correct) == 0:
            continue
        if sum(correct) <= max_solved_fraction * len(correct):
            rows += [rotate(question, shift) for shift in range(1, question["n_choices"])]
    if not rows:
        raise ConfigError(
            f"no question with options was answered right by someone and by at most "
            f"{max_solved_fraction:.0%} of the candidates; raise max_solved_fraction"
        )
    return pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)


def rotate(question: Mapping[str, Any], shift: int) -> dict[str, Any]:
    """The question with its options moved ``shift`` letters on, the last ones to the front.

    Raises:
        ArtifactError: its text does not end in its lettered options.
    """
    num_options = question["n_choices"]
    stem, options = _split_options(question["prompt"], num_options, question["question_id"])
    letters = ascii_uppercase[:num_options]
    # An option keeps its mark and the letter before it: "B) " stays where it is, its text moves.
    texts = [text for _, text in options]
    moved = texts[-shift:] + texts[:-shift]
    lines = [f"{mark}{text}" for (mark, _), text in zip(options, moved, strict=True)]
    answer = letters[(letters.index(question["answer"].strip().upper()) + shift) % num_options]
    return {
        **question,
        "question_id": f"{question['question_id']}@rotated-{shift}",
        "prompt": "\n".join([*stem, *lines]),
        "answer": answer,
        "dup_group": question["dup_group"] or question["question_id"],
    }


def refine_outcomes(outcomes: pa.Table, rotated: pa.Table, rotated_outcomes: pa.Table) -> pa.Table:
    """Outcomes in which a right answer to a hard question counts only if every order gave it.

    Args:
        outcomes: of the questions in their own order.
        rotated: what :func:`rotate_hard_questions` made.
        rotated_outcomes: the same candidates' answers to it.

    Returns:
        The outcomes table: a right answer that some order refuted is wrong, its ``failure``
        tells in how many orders it held; one of which an order failed has no correctness.

    Raises:
        GradingError: a candidate that got a hard question right lacks an order of it.
    """
    orders: dict[str, list[str]] = defaultdict(list)
    for rotated_id in rotated["question_id"].to_pylist():
        match = _SHIFT.fullmatch(rotated_id)
        if match is None:
            raise GradingError(
                f"{rotated_id!r} is no rotated question; give the table that `modelsat tasks "
                "rotate` wrote"
            )
        orders[match[1]].append(rotated_id)
    found = {
        (row["candidate"], row["question_id"]): row["correct"]
        for row in rotated_outcomes.select(["candidate", "question_id", "correct"]).to_pylist()
    }
    rows = outcomes.to_pylist()
    for row in rows:
        own = orders.get(row["question_id"], [])
        if own and row["correct"]:
            row |= _judge(row, own, found)
    return pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)


def _judge(
    row: Mapping[str, Any], orders: list[str], found: Mapping[tuple[str, str], float | None]
) -> dict[str, Any]:
    keys = [(row["candidate"], order) for order in orders]
    missing = [order for _, order in keys if (row["candidate"], order) not in found]
    if missing:
        raise GradingError(
            f"candidate {row['candidate']!r} has no outcome for {missing[0]!r}; profile it on the "
            "rotated questions, too"
        )
    correct = [found[key] for key in keys]
    num_right = 1 + sum(value == 1.0 for value in correct)
    if any(value is not None and value < 1.0 for value in correct):
        reason = f"{LUCKY}: right in {num_right} of {1 + len(orders)} orders"
        return {"correct": 0.0, "failure": reason}
    if None in correct:
        return {"correct": None, "failure": f"failed: {LUCKY}: an order has no answer"}
    return {}


def _split_options(
    prompt: str, num_options: int, question_id: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Lines before the options, and mark and text of each option; a text may have several lines."""
    lines = prompt.splitlines()
    starts: list[int] = []
    marks: list[str] = []
    end = len(lines)
    for letter in reversed(ascii_uppercase[:num_options]):
        mark = re.compile(rf"\s*\(?{letter}[).:]\s+")
        place = next((i for i in reversed(range(end)) if mark.match(f"{lines[i]} ")), None)
        if place is None:
            raise ArtifactError(
                f"question {question_id!r}: its text has no lines that begin with the letters of "
                f"its {num_options} options in order, as in 'A. ...'; leave it out"
            )
        found = mark.match(f"{lines[place]} ")
        assert found is not None
        starts.insert(0, place)
        marks.insert(0, found[0])
        end = place
    bounds = [*starts, len(lines)]
    options = []
    for i, mark_text in enumerate(marks):
        first, *others = lines[bounds[i] : bounds[i + 1]]
        options.append((mark_text, "\n".join([first[len(mark_text) :], *others])))
    return lines[: starts[0]], options
