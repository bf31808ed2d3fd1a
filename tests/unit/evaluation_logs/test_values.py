"""Values of logs: both words of a pair are scores, and texts of CSV files are numbers."""

import pytest

from modelsat.evaluation_logs.answer import read_amount, read_count, read_score


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("correct", "incorrect"),
        ("Correct", "wrong"),
        ("True", "False"),
        ("pass", "fail"),
        ("passed", "failed"),
        ("yes", "no"),
        ("C", "I"),
        ("1", "0"),
        (True, False),
    ],
)
def test_a_table_keeps_its_wrong_answers_as_well(right: object, wrong: object) -> None:
    assert (read_score(right), read_score(wrong)) == (1.0, 0.0)


@pytest.mark.parametrize("value", ["", "n/a", "1.5", "nan", "-1", 2, None, 10**400])
def test_other_values_are_no_scores(value: object) -> None:
    assert read_score(value) is None


@pytest.mark.parametrize(
    ("value", "count", "amount"),
    [
        ("12", 12, 12.0),
        (12, 12, 12.0),
        ("0.5", 0, 0.5),
        ("", None, None),
        ("many", None, None),
        ("-3", None, None),
        ("inf", None, None),
        (True, None, None),
        (None, None, None),
    ],
)
def test_counts_and_amounts(value: object, count: int | None, amount: float | None) -> None:
    assert read_count(value) == count
    assert read_amount(value) == amount
