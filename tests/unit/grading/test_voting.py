"""Votes of candidates, against counts by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import ArtifactError
from modelsat.grading.grade import GradedQuestion, Kind
from modelsat.grading.graders import check_question, grade_answer, stored_grade
from modelsat.grading.voting import vote

CHOICE = GradedQuestion("Largest?\nA. Rome\nB. Paris\nC. Bonn", "", n_choices=3)


def scores(question: GradedQuestion, *outputs: str) -> list[float]:
    names = [f"m{i}" for i in range(len(outputs))]
    grades = vote(question, dict(zip(names, outputs, strict=True)))
    return [round(grades[name].score, 6) for name in names]


@pytest.mark.parametrize(
    ("question", "outputs", "expected"),
    [
        (CHOICE, ["B", "The answer is (B).", "Rome"], [0.6, 0.6, 0.4]),
        (CHOICE, ["B", "B", "B"], [0.8, 0.8, 0.8]),
        (CHOICE, ["A", "B", "C"], [0.4, 0.4, 0.4]),
        (
            GradedQuestion("6 * 7?", "", args={"by": "number"}),
            ["42", "42.0", "= 41"],
            [0.6, 0.6, 0.4],
        ),
        (
            GradedQuestion("Capital of France?", ""),
            ["Paris", "**Paris**", "The capital of France is Paris.", "Lyon"],
            [4 / 6, 4 / 6, 4 / 6, 2 / 6],
        ),
        (
            GradedQuestion("Capital of France?", ""),
            ["<think>Lyon? No.</think>Paris", "paris.", "The answer is Paris.", "I see"],
            [4 / 6, 4 / 6, 4 / 6, 2 / 6],
        ),
    ],
)
def test_a_score_is_the_share_of_votes_drawn_toward_a_half(
    question: GradedQuestion, outputs: list[str], expected: list[float]
) -> None:
    assert scores(question, *outputs) == [round(score, 6) for score in expected]


def test_an_answer_that_cannot_be_compared_is_unparsable_and_has_no_vote() -> None:
    grades = vote(CHOICE, {"a": "B", "b": "B", "c": "I cannot say.", "d": "A"})
    assert grades["c"].kind is Kind.UNPARSABLE
    assert grades["a"].score == pytest.approx(3 / 5)


def test_two_candidates_cannot_vote() -> None:
    grades = vote(CHOICE, {"a": "B", "b": "B", "c": "no idea"})
    assert {grades[name].kind for name in "ab"} == {Kind.UNGRADED}


@given(st.lists(st.sampled_from("ABC"), min_size=3, max_size=12), st.randoms())
def test_names_and_order_do_not_matter_and_equal_answers_score_alike(
    letters: list[str], rng: object
) -> None:
    shuffled = list(enumerate(letters))
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    grades = vote(CHOICE, {f"m{i}": letter for i, letter in shuffled})
    for i, letter in enumerate(letters):
        expected = (letters.count(letter) + 1) / (len(letters) + 2)
        assert grades[f"m{i}"].score == pytest.approx(expected)


ROW = {"question_id": "q", "prompt": "Why?", "answer": "", "n_choices": None}


@pytest.mark.parametrize("grader", ["vote", "judge"])
@pytest.mark.parametrize(
    ("output", "reason", "kind"),
    [
        ("Because.", "stop", Kind.UNGRADED),
        ("Because", "length", Kind.TRUNCATED),
        ("<think>Hm", "stop", Kind.TRUNCATED),
        ("", "stop", Kind.TRUNCATED),
    ],
)
def test_a_complete_answer_waits_for_its_grade(
    grader: str, output: str, reason: str, kind: Kind
) -> None:
    row = ROW | {"grader": grader}
    check_question(row)
    grade = grade_answer(row, output, reason)
    assert grade.kind is kind
    stored = stored_grade(row, grade)
    assert (stored["correct"] is None) == (kind is Kind.UNGRADED)
    assert (stored["failure"], stored["grader"]) == (kind.value, grader)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"grader": "vote", "answer": "Paris"}, "a vote is for questions without one"),
        ({"grader": "vote", "grader_args": '{"by": "ear"}'}, "choice, number, text"),
        ({"grader": "vote", "grader_args": '{"by": "choice"}'}, "no n_choices"),
        ({"grader": "judge", "grader_args": '{"rubric": 7}'}, "rubric is 7"),
        ({"grader": "judge", "grader_args": '{"mood": "mild"}'}, "only setting is rubric"),
    ],
)
def test_wrong_settings_are_refused_by_question(row: dict[str, str], reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason) as refused:
        check_question(ROW | row)
    assert "question 'q'" in str(refused.value)
