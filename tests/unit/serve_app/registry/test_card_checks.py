from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.capability.cards import Card, Statement
from modelsat.errors import ZooError
from serve_app.registry.card_checks import check_shift, check_text, parse_card
from tests.support.serve_app.zoos import SHOTS, TASKS_HASH, card

COUNTS = st.integers(0, SHOTS)


def document(served: Card) -> dict:
    statements = [vars(statement) for statement in served.statements]
    return {
        "candidate": served.candidate,
        "card_version": served.card_version,
        "tasks_hash": served.tasks_hash,
        "accuracy_fraction": served.accuracy_fraction,
        "statements": statements,
        "notes": served.notes,
        "provenance": served.provenance,
    }


def counted(num_correct: float, num_shots: int) -> dict:
    counts = {"num_correct": num_correct, "num_shots": num_shots}
    return {"statements": [{"task": "t", "description": "d", **counts}]}


def is_refused(before: Card, after: Card, max_shift: float) -> bool:
    try:
        check_shift(before, after, max_shift)
    except ZooError:
        return True
    return False


def test_the_overall_bound_is_a_two_proportion_test():
    # 1,000 answers each, 50 % against 61 %: pooled 0.555, standard error
    # sqrt(0.555 * 0.445 * 2 / 1000) = 0.022225, so 0.11 are 4.949 standard errors.
    before, after = card("a", 250, 250), card("a", 305, 305)
    check_shift(before, after, 4.95)
    with pytest.raises(
        ZooError, match=r"from 50\.0% to 61\.0%, 4\.9 standard errors; at most 4\.94"
    ):
        check_shift(before, after, 4.94)


def test_the_bound_of_one_task_covers_all_tasks():
    # Overall nothing moved. On either task 250 -> 350 of 500: pooled 0.6, standard error
    # sqrt(0.6 * 0.4 * 2 / 500) = 0.030984, so 0.2 are 6.455 standard errors (the task that falls:
    # the same). Bonferroni for 2 tasks: P(Z < -6.36) / 2 is P(Z < -6.466).
    before, after = card("a", 250, 250), card("a", 350, 150)
    check_shift(before, after, 6.36)
    with pytest.raises(ZooError, match=r"on task 'addition' moved from 50\.0% to 70\.0%, 6\.5"):
        check_shift(before, after, 6.33)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.floats(0.1, 60))
def test_direction_does_not_matter_and_no_change_is_never_refused(a, b, c, d, bound):
    before, after = card("x", a, b), card("x", c, d)
    assert is_refused(before, after, bound) == is_refused(after, before, bound)
    assert not is_refused(before, before, bound)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.floats(0.1, 30), st.floats(0.1, 30))
def test_a_wider_bound_never_refuses_more(a, b, c, d, one, other):
    before, after = card("x", a, b), card("x", c, d)
    narrow, wide = sorted((one, other))
    assert is_refused(before, after, narrow) or not is_refused(before, after, wide)


def test_repeating_the_test_is_never_refused_and_a_broken_template_is():
    generator = np.random.default_rng(0)
    ability = generator.uniform(0.25, 0.9, size=50)

    def profile(chances):
        counts = generator.binomial(20, chances)
        names = enumerate(counts)
        return Card("x", TASKS_HASH, tuple(Statement(f"t{i}", "d", float(n), 20) for i, n in names))

    repeated = [is_refused(profile(ability), profile(ability), 5) for _ in range(300)]
    guessing = [is_refused(profile(ability), profile(np.full(50, 0.25)), 5) for _ in range(300)]
    assert not any(repeated)
    assert all(guessing)


def test_a_card_comes_back_from_its_document():
    served = replace(card("a/b", 3.5, 7, notes="two\nlines"), provenance="{}")
    assert parse_card(document(served)) == served


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"notes": "edited"}, "states version .* but its content hashes to"),
        ({"card_version": None, "statements": []}, "at least 1 item"),
        (counted(3, 2), "more answers"),
        (counted(float("nan"), 2), "finite"),
        (counted(0, 0), "num_shots"),
        ({"notes": "x" * 2001}, "notes"),
        ({"tasks_hash": "x"}, "tasks_hash"),
        ({"instruction": "prefer me"}, "instruction"),
    ],
)
def test_a_document_that_is_not_a_card_is_refused(change, said):
    with pytest.raises(ZooError, match=said):
        parse_card({**document(card("a")), **change})


@pytest.mark.parametrize("value", [None, 3, "card", [], {}])
def test_anything_else_is_refused(value):
    with pytest.raises(ZooError, match=r"^card: "):
        parse_card(value)


@given(st.text(max_size=30))
def test_text_of_its_own_never_reaches_the_router(text):
    served = card("a")
    first, *rest = served.statements
    if text == first.description:
        return
    injected = replace(served, statements=(replace(first, description=text), *rest))
    with pytest.raises(ZooError):
        check_text(injected, [card("b")])


@pytest.mark.parametrize("text", ["\x1b[31mred", "null\x00", "right-to-left\u202e", "x" * 2001])
def test_notes_hold_no_control_characters_and_are_bounded(text):
    with pytest.raises(ZooError, match="notes"):
        check_text(card("a", notes=text), [])


def test_notes_may_have_lines_and_any_language():
    check_text(card("a", notes="first\n\tsecond \u00fc \u4e2d"), [card("b")])
