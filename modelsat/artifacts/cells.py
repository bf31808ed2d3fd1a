"""The outcomes table as a matrix of questions by candidates.

Shapes: Q questions, M candidates, R rows of the outcomes table.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.errors import ArtifactError


def correctness_matrix(
    outcomes: pa.Table, question_ids: Sequence[str], candidates: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the correctness of each candidate on each question.

    Args:
        outcomes: outcomes table; rows of other questions and candidates are ignored.
        question_ids: Q ids.
        candidates: M names.

    Returns:
        Correctness 0..1, NaN where there is no graded outcome, float64 [Q, M].

    Raises:
        ArtifactError: a candidate has two outcomes for a question, or correctness is outside 0..1.
    """
    row_R, column_R = (
        pc.index_in(outcomes[name].cast(pa.string()), value_set=pa.array(known, pa.string()))
        for name, known in (("question_id", question_ids), ("candidate", candidates))
    )
    is_used = pc.and_(pc.is_valid(row_R), pc.is_valid(column_R))
    rows, columns = (index.filter(is_used).to_numpy() for index in (row_R, column_R))
    correct = outcomes["correct"].filter(is_used).cast(pa.float64())
    is_graded, values = pc.is_valid(correct).to_numpy(), correct.to_numpy()

    def names(place: int) -> tuple[str, str]:
        return candidates[int(columns[place])], question_ids[int(rows[place])]

    cells, first = np.unique(rows.astype(np.int64) * len(candidates) + columns, return_index=True)
    if len(cells) < len(rows):
        repeated = np.setdiff1d(np.arange(len(rows)), first)
        candidate, question_id = names(repeated[0])
        raise ArtifactError(
            f"candidate {candidate!r} has two outcomes for {question_id!r} (two sources?); "
            f"keep one source per candidate ({len(repeated)} outcomes are duplicates)"
        )
    outside = np.flatnonzero(is_graded & ~((values >= 0) & (values <= 1)))
    if len(outside):
        candidate, question_id = names(outside[0])
        raise ArtifactError(
            f"candidate {candidate!r}, question {question_id!r}: correctness "
            f"{values[outside[0]]} is outside 0..1 ({len(outside)} outcomes are)"
        )
    correct_QM = np.full((len(question_ids), len(candidates)), np.nan)
    correct_QM[rows, columns] = values
    return correct_QM
