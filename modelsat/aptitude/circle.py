"""The circle test: hard questions are repeated with their options in every rotated order.

If few candidates answer a question correctly, a correct answer is often luck. A candidate that
knows the answer finds it in any position, so a correct answer counts only if it is given in every
order (the paper's data refinement).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

import pyarrow as pa

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.errors import ArtifactError, ConfigError, GradingError

FAILURE_PREFIX = "circle test"  # of the failure column of an answer that failed the test
_SHIFT = re.compile(r"(.*)@rotated-(\d+)", re.DOTALL)


def rotate_hard_questions(
    questions: pa.Table, outcomes: pa.Table, max_solved_fraction: float
) -> pa.Table:
    """Rotate the options of each question that at least one but few candidates got right.

    Args:
        questions: questions table; only questions with lettered options are used.
        outcomes: outcomes table of the zoo; failed rows are ignored.
        max_solved_fraction: largest share of candidates (0..1) that may solve a hard question.

    Returns:
        Questions table: n - 1 rows for a hard question of n options, with the ids
        ``ID@rotated-1``, ``ID@rotated-2``, ...

    Raises:
        ConfigError: the share is outside 0..1, or no question is hard.
        ArtifactError: a hard question's options cannot be parsed from its text.
    """
    if not 0.0 < max_solved_fraction <= 1.0:
        raise ConfigError(
            f"max_solved_fraction {max_solved_fraction:g} is not above 0 and at most 1; for a "
            "quarter of the zoo use 0.25"
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
            "no question with options was answered correctly by at least one and at most "
            f"{max_solved_fraction:.0%} of the candidates; raise max_solved_fraction"
        )
    return pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)


def rotate(question: Mapping[str, Any], shift: int) -> dict[str, Any]:
    """Return the question with its options rotated by ``shift`` letters.

    Raises:
        ArtifactError: its text does not end in its lettered options.
    """
    num_options = question["n_choices"]
    stem, options = _split_options(question["prompt"], num_options, question["question_id"])
    letters = ascii_uppercase[:num_options]
    # The letters and their marks stay in place ("B) "); only the texts move.
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
    """Count a correct answer to a hard question only if it was given in every order.

    Args:
        outcomes: outcomes of the questions in their original order.
        rotated: questions returned by :func:`rotate_hard_questions`.
        rotated_outcomes: the same candidates' outcomes on the rotated questions.

    Returns:
        The outcomes table. A correct answer that is wrong in some order becomes wrong, and its
        ``failure`` says in how many orders it was correct. If an order failed, correctness is
        null.

    Raises:
        GradingError: a candidate that solved a hard question has no outcome for an order of it.
    """
    orders: dict[str, list[str]] = defaultdict(list)
    for rotated_id in rotated["question_id"].to_pylist():
        match = _SHIFT.fullmatch(rotated_id)
        if match is None:
            raise GradingError(
                f"{rotated_id!r} is not a rotated question; pass the table that `modelsat tasks "
                "rotate` wrote"
            )
        orders[match[1]].append(rotated_id)
    found = {
        (row["candidate"], row["question_id"]): row["correct"]
        for row in rotated_outcomes.select(["candidate", "question_id", "correct"]).to_pylist()
    }
    rows = outcomes.to_pylist()
    for row in rows:
        rotated_ids = orders.get(row["question_id"], [])
        if rotated_ids and row["correct"]:
            row |= _refine(row, rotated_ids, found)
    return pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)


def _refine(
    row: Mapping[str, Any], orders: list[str], found: Mapping[tuple[str, str], float | None]
) -> dict[str, Any]:
    keys = [(row["candidate"], order) for order in orders]
    missing = [order for _, order in keys if (row["candidate"], order) not in found]
    if missing:
        raise GradingError(
            f"candidate {row['candidate']!r} has no outcome for {missing[0]!r}; profile it on the "
            "rotated questions too"
        )
    correct = [found[key] for key in keys]
    num_right = 1 + sum(value == 1.0 for value in correct)
    if any(value is not None and value < 1.0 for value in correct):
        reason = f"{FAILURE_PREFIX}: right in {num_right} of {1 + len(orders)} orders"
        return {"correct": 0.0, "failure": reason}
    if None in correct:
        return {"correct": None, "failure": f"failed: {FAILURE_PREFIX}: an order has no answer"}
    return {}


def _split_options(
    prompt: str, num_options: int, question_id: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Split a prompt into its stem lines and each option's mark and (multi-line) text."""
    lines = prompt.splitlines()
    starts: list[int] = []
    marks: list[str] = []
    end = len(lines)
    for letter in reversed(ascii_uppercase[:num_options]):
        mark = re.compile(rf"\s*\(?{letter}[).:]\s+")
        start = next((i for i in reversed(range(end)) if mark.match(f"{lines[i]} ")), None)
        if start is None:
            raise ArtifactError(
                f"question {question_id!r}: its text has no lines that begin with the letters of "
                f"its {num_options} options in order, as in 'A. ...'; remove the question"
            )
        found = mark.match(f"{lines[start]} ")
        assert found is not None
        starts.insert(0, start)
        marks.insert(0, found[0])
        end = start
    bounds = [*starts, len(lines)]
    options = []
    for i, mark_text in enumerate(marks):
        first, *others = lines[bounds[i] : bounds[i + 1]]
        options.append((mark_text, "\n".join([first[len(mark_text) :], *others])))
    return lines[: starts[0]], options
