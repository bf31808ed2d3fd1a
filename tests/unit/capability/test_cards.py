import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.schemas import CARDS, OUTCOMES
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import (
    UNPARSABLE,
    Card,
    Statement,
    build_cards,
    read_cards,
    select_cards,
    write_cards,
)
from modelsat.errors import ArtifactError, GradingError, ZooError

KEYWORDS = ("sum", "digits", "number", "plus", "add")
TASKS = TaskSet(
    benchmark="demo",
    tasks=(
        CoreTask(task="sums", keywords=KEYWORDS, question_ids=("s1", "s2", "s3", "s4")),
        CoreTask(task="words", keywords=("a", "b", "c", "d", "e"), question_ids=("w1", "w2")),
    ),
)
ALL_RIGHT = dict.fromkeys(TASKS.question_ids, 1.0)


def outcomes(*rows):
    table = pa.Table.from_pylist(
        [{**dict.fromkeys(OUTCOMES.arrow.names), **row} for row in rows], schema=OUTCOMES.arrow
    )
    return table


def answers(candidate, correct, failure=None):
    return [
        {
            "candidate": candidate,
            "question_id": question_id,
            "correct": value,
            "failure": (failure or {}).get(question_id),
        }
        for question_id, value in correct.items()
    ]


def test_unparsable_and_failed_answers_are_counted_separately():
    correct = {"s1": 1.0, "s2": 0.0, "s3": 0.0, "s4": None, "w1": 0.5, "w2": 1.0}
    failure = {"s3": UNPARSABLE, "s4": "engine died"}
    other = {"candidate": "m", "question_id": "elsewhere", "correct": 1.0}
    (card,) = build_cards(
        outcomes(*answers("m", correct, failure), other), TASKS, max_failed_fraction=0.2
    )
    assert card.statements == (
        Statement("sums", ", ".join(KEYWORDS), 1.0, 3, num_unparsable=1, num_failed=1),
        Statement("words", "a, b, c, d, e", 1.5, 2),
    )
    assert card.accuracy_fraction == pytest.approx(2.5 / 5)
    assert card.text().splitlines() == [
        "accuracy 33.3% on sums: sum, digits, number, plus, add",
        "accuracy 75.0% on words: a, b, c, d, e",
    ]


def test_one_card_per_candidate_sorted_by_name():
    rows = [*answers("b", ALL_RIGHT), *answers("a", ALL_RIGHT)]
    cards = build_cards(outcomes(*rows), TASKS)
    assert [card.candidate for card in cards] == ["a", "b"]
    # Equal answers make equal cards, whatever the name: capability vectors are cached by version.
    assert cards[0].card_version == cards[1].card_version


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([], "no answer to any aptitude question"),
        (answers("m", {"s1": 1.0}), "'m' has no outcome for 5 of 6 aptitude questions"),
        (
            answers("m", ALL_RIGHT) + answers("m", {"s1": 0.0}),
            "'m' has two outcomes for 's1'",
        ),
        (answers("m", {**ALL_RIGHT, "s1": None}), "'m' failed on 1 of 6 aptitude questions"),
        (answers("m", {**ALL_RIGHT, "w1": 1.5}), "'m', question 'w1': correctness 1.5"),
        (answers("m", {**ALL_RIGHT, "w1": float("nan")}), "correctness nan"),
    ],
)
def test_rejects_outcomes_that_make_no_card(rows, named):
    with pytest.raises(GradingError) as caught:
        build_cards(outcomes(*rows), TASKS)
    assert named in str(caught.value)


def test_rejects_a_task_without_graded_answers():
    rows = answers("m", {**ALL_RIGHT, "w1": None, "w2": None})
    with pytest.raises(GradingError, match="no graded answer for task 'words'"):
        build_cards(outcomes(*rows), TASKS, max_failed_fraction=1.0)


statements = st.builds(
    Statement,
    task=st.text(),
    description=st.text(),
    num_correct=st.integers(0, 20) | st.floats(0, 20),
    num_shots=st.integers(20, 40),
    num_unparsable=st.integers(0, 20),
    num_failed=st.integers(0, 20),
)


@given(st.lists(statements, min_size=1, max_size=5), st.text(), st.text())
def test_any_card_round_trips(tmp_path_factory, its_statements, notes, provenance):
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    card = Card("m", "tasks", tuple(its_statements), notes, provenance)
    write_cards([card], path)
    assert read_cards(path) == {"m": card}


def test_version_depends_only_on_what_the_router_reads():
    statement = Statement("t", "d", 10.0, 20)
    card = Card("m", "h", (statement,))
    assert Card("other", "h", (statement,), provenance="p").card_version == card.card_version
    changed = [
        Card("m", "h2", (statement,)),
        Card("m", "h", (Statement("t", "d", 11.0, 20),)),
        Card("m", "h", (Statement("t", "d", 10.0, 19),)),
        Card("m", "h", (Statement("t", "d2", 10.0, 20),)),
        Card("m", "h", (statement,), notes="speaks French"),
    ]
    assert len({c.card_version for c in [card, *changed]}) == len(changed) + 1


def test_rejects_an_edited_card(tmp_path):
    path = tmp_path / "cards.parquet"
    write_cards([Card("m", "h", (Statement("t", "d", 1.0, 20),))], path)
    (row,) = read_table(CARDS, path).to_pylist()
    row["statements"][0]["num_correct"] = 20.0
    write_table(CARDS, [row], path)
    with pytest.raises(ArtifactError, match=r"card of 'm' .* was edited or is corrupt"):
        read_cards(path)


def test_rejects_cards_of_another_task_set(tmp_path):
    path = tmp_path / "cards.parquet"
    statement = Statement("t", "d", 1.0, 20)
    write_cards([Card("a", "h1", (statement,)), Card("b", "h2", (statement,))], path)
    with pytest.raises(ArtifactError, match=r"'b' comes from task set h2; expected h1"):
        read_cards(path)
    write_cards([Card("a", "h1", (statement,))], path)
    assert set(read_cards(path, tasks_hashes=["h0", "h1"])) == {"a"}
    with pytest.raises(ArtifactError, match=r"'a' comes from task set h1; expected h9"):
        read_cards(path, tasks_hashes=["h9"])


def test_rejects_a_file_without_cards(tmp_path):
    path = tmp_path / "cards.parquet"
    write_cards([], path)
    with pytest.raises(ArtifactError, match="has no card"):
        read_cards(path)


def test_selection_error_names_unknown_candidates():
    cards = {name: Card(name, "h", ()) for name in ("a", "b")}
    assert select_cards(cards, None) == (cards["a"], cards["b"])
    assert select_cards(cards, ["b"]) == (cards["b"],)
    with pytest.raises(ZooError, match="no card for x; there are cards for a, b"):
        select_cards(cards, ["a", "x"])
    with pytest.raises(ZooError, match="duplicate candidate in a, a"):
        select_cards(cards, ["a", "a"])


def test_rejects_an_empty_selection() -> None:
    with pytest.raises(ZooError, match="name at least one"):
        select_cards({}, [])


def test_a_task_that_a_candidate_cannot_read_has_no_statement():
    sums = dict.fromkeys(("s1", "s2", "s3", "s4"), 1.0)
    table = outcomes(*answers("sees", ALL_RIGHT), *answers("blind", sums))
    with pytest.raises(GradingError, match="'blind' has no outcome for 2 of 6"):
        build_cards(table, TASKS)
    blind, sees = build_cards(table, TASKS, not_for_all={"w1", "w2"})
    assert [statement.task for statement in blind.statements] == ["sums"]
    assert [statement.task for statement in sees.statements] == ["sums", "words"]
    assert blind.accuracy_fraction == 1.0
    with pytest.raises(GradingError, match="'blind' has no outcome for 1 of 6"):
        build_cards(table, TASKS, not_for_all={"w1"})
