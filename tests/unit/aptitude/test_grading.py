"""Answers get the grade that a person would give."""

import pytest

from modelsat.aptitude.grading import Grade, grade_answer, normalise_answer, parse_choice


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("B", "B"),
        (" b", "B"),
        ("(B)", "B"),
        ("[B]", "B"),
        ("B) seven", "B"),
        ("B. seven", "B"),
        ("**B**", "B"),
        ("B\nbecause it is", "B"),
        ("The answer is C.", "C"),
        ("the answer is c.", "C"),
        ("Answer: (D)", "D"),
        ("The answer is: D", "D"),
        ("I choose option A", "A"),
        ("First I thought the answer is A, but the answer is B", "B"),
        ("The answer is B. Option A is incorrect because it is too large.", "B"),
        ("The correct answer is option B.\nOption A is too small, choice C too large.", "B"),
        ("The correct option is (B), as option A is too small.", "B"),
        ("Choice: c, since choice D is a number", "C"),
        ("Option A is too small, so I take option B", "B"),
        ("I take option B\nAnswer: C", "C"),
        ("the answer is a number", None),
        ("the answer is a number, as in option C", "C"),
        ("seven", None),
        ("A cat sat", None),
        ("E", None),
        ("", None),
        ("the answer is not known", None),
    ],
)
def test_letter_chosen_by_an_answer(output: str, letter: str | None) -> None:
    assert parse_choice(output, n_choices=4) == letter


@pytest.mark.parametrize(
    ("output", "gold", "grade"),
    [
        ("Paris", "paris", Grade.CORRECT),
        ("  Paris. \nIt lies on the Seine.", "Paris", Grade.CORRECT),
        ("The answer is 42.", "42", Grade.CORRECT),
        ('"forty  two"', "forty two", Grade.CORRECT),
        ("`-3.5`", "-3.5", Grade.CORRECT),
        (".5", "5", Grade.INCORRECT),
        ("35", "3.5", Grade.INCORRECT),
        ("London", "Paris", Grade.INCORRECT),
        ("", "Paris", Grade.UNPARSABLE),
        (" \n ", "Paris", Grade.UNPARSABLE),
        ("...", "Paris", Grade.UNPARSABLE),
    ],
)
def test_short_answers(output: str, gold: str, grade: Grade) -> None:
    assert grade_answer(output, gold, None) is grade


@pytest.mark.parametrize(
    ("output", "grade"),
    [("b", Grade.CORRECT), ("C", Grade.INCORRECT), ("seven", Grade.UNPARSABLE)],
)
def test_choices(output: str, grade: Grade) -> None:
    assert grade_answer(output, "B", 4) is grade


OPTIONS = "Which comes first?\nA) seven\nB) C\nC) the moon\nD) seven"


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("The Moon.", "C"),  # an option's text names it as its letter does
        ("C", "C"),  # a letter names its option, not the one whose text it is
        ("seven", None),  # the text of two options names neither
        ("eight", None),
    ],
)
def test_option_text_repeated_by_an_answer(output: str, letter: str | None) -> None:
    assert parse_choice(output, 4, OPTIONS) == letter


def test_ignores_options_beyond_n_choices() -> None:
    assert parse_choice("the moon", 2, OPTIONS) is None


def test_letter_beyond_n_choices_is_unparsable() -> None:
    assert grade_answer("D", "A", 3) is Grade.UNPARSABLE


def test_normalisation_is_idempotent() -> None:
    for text in ("The answer is: Paris!", "3.14", "-7", "a  b"):
        assert normalise_answer(normalise_answer(text)) == normalise_answer(text)
