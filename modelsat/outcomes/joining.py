"""Join questions, outcomes and cards into an outcome matrix.

Shapes: Q instructions, M candidates.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.cells import correctness_matrix
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.capability.cards import Card, check_same_tasks
from modelsat.errors import ArtifactError, ZooError
from modelsat.outcomes.matrix import Ints, OutcomeMatrix


def build_matrix(
    questions: pa.Table,
    outcomes: pa.Table,
    cards: Sequence[Card],
    *,
    exclude_questions: Iterable[str] = (),
) -> OutcomeMatrix:
    """Join questions, outcomes and cards.

    Args:
        questions: questions table.
        outcomes: outcomes table; rows of candidates without a card are left out.
        cards: the candidates to keep, in order.
        exclude_questions: ids to leave out, such as those of the aptitude test.

    Raises:
        ArtifactError: two outcomes of one candidate for one question, correctness outside
            0..1, or no outcome left.
        ZooError: a card's candidate has no outcome at all.
    """
    if cards:
        check_same_tasks(cards, source="cards")
    matrix = join_outcomes(questions, outcomes, cards, exclude_questions=exclude_questions)
    check_answered((~np.isnan(matrix.correct_QM)).sum(axis=0), cards)
    return matrix


def join_outcomes(
    questions: pa.Table,
    outcomes: pa.Table,
    cards: Sequence[Card],
    *,
    exclude_questions: Iterable[str] = (),
) -> OutcomeMatrix:
    """Join as :func:`build_matrix` does, but accept a result without any outcome.

    For tables that are read in parts: :func:`check_answered` judges the whole.

    Raises:
        ArtifactError: two outcomes of one candidate for one question, or correctness outside
            0..1.
    """
    excluded = set(exclude_questions)
    kept = [row for row in questions.to_pylist() if row["question_id"] not in excluded]
    correct_QM = correctness_matrix(
        outcomes, [row["question_id"] for row in kept], [card.candidate for card in cards]
    ).astype(np.float32)
    answered = ~np.isnan(correct_QM).all(axis=1)
    used = [kept[i] for i in np.flatnonzero(answered)]
    return OutcomeMatrix(
        question_ids=tuple(row["question_id"] for row in used),
        instructions=tuple(row["prompt"] for row in used),
        tasks=tuple(row["task"] for row in used),
        categories=tuple(row["category"] or "" for row in used),
        groups=tuple(row["dup_group"] or row["question_id"] for row in used),
        cards=tuple(cards),
        correct_QM=correct_QM[answered],
    )


def check_answered(num_outcomes_M: Ints, cards: Sequence[Card]) -> None:
    """Refuse outcomes in which a candidate has none.

    Args:
        num_outcomes_M: known outcomes of each candidate.
        cards: the candidates.

    Raises:
        ArtifactError: no candidate has an outcome.
        ZooError: some candidates have none.
    """
    if not num_outcomes_M.any():
        raise ArtifactError(
            "no outcome is left: the outcomes answer none of the questions for these candidates"
        )
    without = [card.candidate for card, num in zip(cards, num_outcomes_M, strict=True) if not num]
    if without:
        raise ZooError(
            f"no outcome for {', '.join(without)} on these questions; profile them, or leave "
            "them out"
        )


def load_matrix(
    questions: Sequence[str | Path],
    outcomes: str | Path,
    cards: Sequence[Card],
    *,
    sources: Sequence[str] | None = None,
    exclude_questions: Iterable[str] = (),
) -> OutcomeMatrix:
    """Read tables and join them; see :func:`build_matrix` and :func:`filter_sources`.

    Raises:
        ArtifactError: a table is missing or malformed, or they do not fit.
        ZooError: a card's candidate has no outcome at all.
    """
    return build_matrix(
        pa.concat_tables([read_table(QUESTIONS, path) for path in questions]),
        filter_sources(read_table(OUTCOMES, outcomes), sources, origin=str(outcomes)),
        cards,
        exclude_questions=exclude_questions,
    )


def filter_sources(outcomes: pa.Table, sources: Sequence[str] | None, *, origin: str) -> pa.Table:
    """Return the outcomes of some sources.

    Two sources may hold outcomes of the same candidate under different prompts.

    Args:
        outcomes: outcomes table.
        sources: values of the column ``source`` to keep; None keeps all.
        origin: where the table came from, for the error message.

    Raises:
        ArtifactError: a source has no outcome.
    """
    if sources is None:
        return outcomes
    check_sources(pc.unique(outcomes["source"]).to_pylist(), sources, origin=origin)
    return outcomes.filter(pc.is_in(outcomes["source"], pa.array(sources)))


def check_sources(found: Iterable[str | None], sources: Sequence[str], *, origin: str) -> None:
    """Refuse sources that have no outcome.

    Args:
        found: sources in the outcomes table.
        sources: sources asked for.
        origin: where the table came from, for the error message.

    Raises:
        ArtifactError: a source has no outcome.
    """
    known = {str(source) for source in found}
    unknown = [source for source in sources if source not in known]
    if unknown:
        raise ArtifactError(
            f"{origin} holds no outcome of source {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(sorted(known))}"
        )
