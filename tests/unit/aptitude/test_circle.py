"""The circle test rotates options and rejects lucky answers."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.aptitude.circle import refine_outcomes, rotate, rotate_hard_questions
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.capability.cards import UNPARSABLE
from modelsat.errors import ArtifactError, ConfigError, GradingError


def question(question_id="q", prompt="Which?\nA. one\nB. two\nC. three", answer="B", n_choices=3):
    row = {"question_id": question_id, "benchmark": "b", "task": "t", "split": "test"}
    row |= {"prompt": prompt, "answer": answer, "n_choices": n_choices}
    return row | {"dup_group": None, "category": None}


def outcomes(*rows):
    names = ("question_id", "candidate", "correct", "failure")
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=False)) for row in rows], schema=OUTCOMES.arrow
    )


def by_candidate(table):
    return {row["candidate"]: (row["correct"], row["failure"]) for row in table.to_pylist()}


def test_rotation_moves_texts_and_keeps_letters():
    once, twice = rotate(question(), 1), rotate(question(), 2)
    assert once["prompt"] == "Which?\nA. three\nB. one\nC. two"
    assert (once["question_id"], once["answer"], once["dup_group"]) == ("q@rotated-1", "C", "q")
    assert twice["prompt"] == "Which?\nA. two\nB. three\nC. one"
    assert twice["answer"] == "A"


def test_rotates_multi_line_options_after_a_stem_with_letters():
    prompt = "A. Smith asks:\nB. or not B.?\n(A) first\nline two\n(B) second"
    row = rotate(question(prompt=prompt, answer="b", n_choices=2), 1)
    assert row["prompt"] == "A. Smith asks:\nB. or not B.?\n(A) second\n(B) first\nline two"
    assert row["answer"] == "A"


@given(
    options=st.lists(st.sampled_from(["x", "A", "b c", "7"]), min_size=2, max_size=10),
    data=st.data(),
)
def test_full_rotation_restores_the_question_and_moves_the_answer(options, data):
    letters = "ABCDEFGHIJ"[: len(options)]
    right = data.draw(st.integers(0, len(options) - 1))
    lines = [f"{letter}) {text}" for letter, text in zip(letters, options, strict=True)]
    row = question(
        prompt="\n".join(["Stem", *lines]), answer=letters[right], n_choices=len(options)
    )
    turned = row
    for _ in options:
        turned = rotate(turned, 1)
        place = letters.index(turned["answer"])
        assert turned["prompt"].splitlines()[1 + place] == f"{turned['answer']}) {options[right]}"
    assert (turned["prompt"], turned["answer"]) == (row["prompt"], row["answer"])


def test_hard_questions_are_solved_by_at_least_one_and_few_candidates():
    rows = [question(q) for q in ("none", "one", "half", "failed")] + [
        question("text", "Spell it.", "it", None)
    ]
    table = pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)
    right = {"none": (0, 0, 0, 0), "one": (1, 0, 0, 0), "half": (1, 1, 0, 0)}
    right |= {"failed": (1, None, None, 0), "text": (1, 0, 0, 0)}
    graded = [(q, name, c) for q, row in right.items() for name, c in zip("wxyz", row, strict=True)]
    hard = rotate_hard_questions(table, outcomes(*graded), 0.25)
    assert hard["question_id"].to_pylist() == ["one@rotated-1", "one@rotated-2"]
    harder = rotate_hard_questions(table, outcomes(*graded), 0.5)["question_id"].to_pylist()
    assert [q.partition("@")[0] for q in harder] == ["one"] * 2 + ["half"] * 2 + ["failed"] * 2


def test_correct_answer_counts_only_if_given_in_every_order():
    table = pa.Table.from_pylist([rotate(question(), shift) for shift in (1, 2)])
    first, second = "q@rotated-1", "q@rotated-2"
    own = outcomes(
        ("q", "knows", 1.0), ("q", "lucky", 1.0), ("q", "wrong", 0.0), ("q", "broken", 1.0),
        ("q", "mute", 0.0, UNPARSABLE), ("other", "knows", 1.0),
    )  # fmt: skip
    again = outcomes(
        (first, "knows", 1.0), (second, "knows", 1.0), (first, "lucky", 0.0),
        (second, "lucky", 1.0), (first, "broken", 1.0), (second, "broken", None, "failed: x"),
    )  # fmt: skip
    refined = refine_outcomes(own, table, again)
    assert refined.num_rows == own.num_rows
    assert by_candidate(refined.slice(0, 5)) == {
        "knows": (1.0, None),
        "lucky": (0.0, "circle test: right in 2 of 3 orders"),
        "wrong": (0.0, None),
        "broken": (None, "failed: circle test: an order has no answer"),
        "mute": (0.0, UNPARSABLE),
    }
    assert refined.slice(5).to_pylist() == own.slice(5).to_pylist()


def test_invalid_input_raises_a_clear_error():
    table = pa.Table.from_pylist([question()], schema=QUESTIONS.arrow)
    with pytest.raises(ArtifactError, match=r"question 'q': .*5 options"):
        rotate(question(n_choices=5), 1)
    with pytest.raises(ConfigError, match="at most 25%"):
        rotate_hard_questions(table, outcomes(("q", "x", 1.0), ("q", "y", 1.0)), 0.25)
    with pytest.raises(ConfigError, match=r"max_solved_fraction 25 is not above 0"):
        rotate_hard_questions(table, outcomes(), 25)
    rotated = pa.Table.from_pylist([rotate(question(), 1)])
    with pytest.raises(GradingError, match=r"candidate 'x' has no outcome for 'q@rotated-1'"):
        refine_outcomes(outcomes(("q", "x", 1.0)), rotated, outcomes())
    with pytest.raises(GradingError, match="'q' is not a rotated question"):
        refine_outcomes(outcomes(), table, outcomes())
