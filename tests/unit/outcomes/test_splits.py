"""Splits by hash: no group on both sides, and folds that never change."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from modelsat.outcomes.splits import split_validation
from tests.support.folds import fold_of
from tests.support.router_parts import make_matrix


@given(seed=st.integers(0, 10_000), fraction=st.floats(0.3, 0.7))
def test_split_keeps_groups_together(seed, fraction):
    matrix = make_matrix(per_topic=40)
    grouped = type(matrix)(
        **{**vars(matrix), "groups": tuple(str(i // 4) for i in range(len(matrix)))}
    )
    training, validation = split_validation(grouped, fraction, seed)
    assert {*training.question_ids, *validation.question_ids} == set(grouped.question_ids)
    assert not set(training.groups) & set(validation.groups)


def test_folds_are_even_and_fixed():
    folds = [fold_of(f"group-{i}", 5) for i in range(5000)]
    assert all(850 < folds.count(k) < 1150 for k in range(5))
    first_half = hashlib.sha256(b"mmlu/x/1").hexdigest()[:16]
    assert fold_of("mmlu/x/1", 5) == int(first_half, 16) % 5
