"""The outcomes table as a matrix, against a plain loop over its rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.artifacts.cells import correctness_matrix
from modelsat.artifacts.schemas import OUTCOMES
from modelsat.errors import ArtifactError

QUESTIONS, CANDIDATES = ["q1", "q2", "q3"], ["a", "b"]
rows = st.dictionaries(
    st.tuples(st.sampled_from([*QUESTIONS, "other"]), st.sampled_from([*CANDIDATES, "other"])),
    st.sampled_from([0.0, 0.25, 1.0, None]),
)


def outcomes(cells):
    table = [{"question_id": q, "candidate": c, "correct": value} for (q, c), value in cells]
    return pa.Table.from_pylist(table, schema=OUTCOMES.arrow)


@given(rows)
def test_every_cell_holds_its_outcome_and_others_are_nan(cells):
    expected = [
        [np.nan if cells.get((q, c)) is None else cells[q, c] for c in CANDIDATES]
        for q in QUESTIONS
    ]
    found = correctness_matrix(outcomes(cells.items()), QUESTIONS, CANDIDATES)
    np.testing.assert_array_equal(found, np.array(expected))


@pytest.mark.parametrize("value", [-0.5, 1.5, float("nan")])
def test_bad_outcomes_are_refused_unless_they_are_not_asked_for(value):
    table = outcomes([(("q1", "a"), 1.0), (("q2", "b"), value)])
    with pytest.raises(ArtifactError, match=r"candidate 'b', question 'q2': correctness .* 0\.\.1"):
        correctness_matrix(table, QUESTIONS, CANDIDATES)
    assert correctness_matrix(table, ["q1"], ["a"]).tolist() == [[1.0]]


def test_two_outcomes_of_a_cell_are_refused():
    table = outcomes([(("q1", "a"), 1.0), (("q2", "b"), 1.0), (("q1", "a"), None)])
    with pytest.raises(ArtifactError, match=r"'a' has two outcomes for 'q1' .* \(1 outcomes are"):
        correctness_matrix(table, QUESTIONS, CANDIDATES)
