"""Answers of several logs become one questions table and one outcomes table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.alignment import Imported, Source, write_outcomes
from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer

SOURCE = Source("log", "sums", licence="CC0")


def answer(candidate: str, prompt: str = "1 + 1?", score: float = 1.0, **more) -> LoggedAnswer:
    return LoggedAnswer(candidate, prompt, score, **{"task": "add", "answer": "2", **more})


def write(folder: Path, *answers: LoggedAnswer, source: Source = SOURCE, **more) -> Imported:
    return write_outcomes(iter(answers), source, folder, LeftOut(), **more)


def test_questions_are_aligned_by_their_text_apart_from_white_space(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        answer("a", output="2", prompt_tokens=5, cost_usd=0.25),
        answer("b", prompt=" 1 +\n1? ", score=0.5),
        answer("a", prompt="2 + 2?", answer="4"),
    )
    assert (found.num_questions, found.num_outcomes) == (2, 3)
    assert found.num_by_candidate == {"a": 2, "b": 1}
    questions = read_table(QUESTIONS, tmp_path / "questions.parquet").to_pylist()
    assert [(q["benchmark"], q["prompt"], q["answer"]) for q in questions] == [
        ("sums", "1 + 1?", "2"),
        ("sums", "2 + 2?", "4"),
    ]
    outcomes = read_table(OUTCOMES, tmp_path / "outcomes.parquet").to_pylist()
    ids = [question["question_id"] for question in questions]
    assert [(o["question_id"], o["candidate"], o["correct"]) for o in outcomes] == [
        (ids[0], "a", 1.0),
        (ids[0], "b", 0.5),
        (ids[1], "a", 1.0),
    ]
    first = outcomes[0]
    assert (first["source"], first["output"], first["prompt_tokens"], first["cost_usd"]) == (
        *("log", "2", 5, 0.25),
    )
    assert read_manifest(tmp_path / "outcomes.parquet")["licence"] == "CC0"


def test_ids_do_not_depend_on_the_order_of_the_log(tmp_path: Path) -> None:
    answers = [answer("a"), answer("a", prompt="2 + 2?")]
    for folder, order in (("one", answers), ("two", answers[::-1])):
        write(tmp_path / folder, *order)
    found = [
        set(
            read_table(QUESTIONS, tmp_path / folder / "questions.parquet")[
                "question_id"
            ].to_pylist()
        )
        for folder in ("one", "two")
    ]
    assert found[0] == found[1]


def test_what_does_not_align_is_left_out_and_counted(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        answer("a"),
        answer("a", score=0.0),
        answer("b", answer="3"),
        answer("b", prompt=" "),
        answer(""),
    )
    assert found.left_out == {
        "further answers of a candidate to the same question": 1,
        "answers whose question has another gold answer in another row": 1,
        "rows without a question's text": 1,
        "rows without a candidate's name": 1,
    }
    [outcome] = read_table(OUTCOMES, tmp_path / "outcomes.parquet").to_pylist()
    assert (outcome["candidate"], outcome["correct"]) == ("a", 1.0)
    assert read_manifest(tmp_path / "outcomes.parquet")["left_out"] == found.left_out


def test_answers_to_known_questions_keep_their_ids(tmp_path: Path) -> None:
    known = {"question_id": "q7", "benchmark": "own", "task": "t", "prompt": "1 + 1?"}
    write_table(QUESTIONS, [known | {"answer": "2"}], tmp_path / "known.parquet")
    found = write(
        tmp_path / "out",
        answer("a", prompt="1  + 1?"),
        answer("a", prompt="2 + 2?"),
        known=tmp_path / "known.parquet",
    )
    assert found.left_out == {"answers to questions that the table does not hold": 1}
    [question] = read_table(QUESTIONS, tmp_path / "out" / "questions.parquet").to_pylist()
    assert (question["question_id"], question["benchmark"]) == ("q7", "own")


def test_gold_answers_in_several_forms_are_one(tmp_path: Path) -> None:
    choice = {"prompt": "Where?\nA. Rome\nB. Paris", "n_choices": 2}
    first = answer("a", answer="1", **choice)
    write(tmp_path, first, answer("b", answer="(b)", **choice), answer("c", answer="B", **choice))
    found = write(
        tmp_path / "again",
        answer("d", answer="Paris", **choice),
        answer("e", answer="A", **choice),
        known=tmp_path / "questions.parquet",
    )
    assert found.num_by_candidate == {"d": 1}
    assert found.left_out == {"answers whose gold answer is not the table's": 1}
    assert read_table(OUTCOMES, tmp_path / "outcomes.parquet").num_rows == 3


def test_a_gold_answer_that_its_grader_refuses_is_left_out(tmp_path: Path) -> None:
    found = write(tmp_path, answer("a", answer="about right", grader="number"))
    [question] = read_table(QUESTIONS, tmp_path / "questions.parquet").to_pylist()
    assert question["answer"] == ""
    assert found.left_out == {
        "gold answers that their own grader refuses; the questions are kept without": 1
    }


def test_one_name_for_all_answers(tmp_path: Path) -> None:
    found = write(tmp_path, answer("x"), source=Source("log", "sums", candidate="mine"))
    assert found.num_by_candidate == {"mine": 1}


def test_nothing_is_written_without_an_outcome_or_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no outcome could be read; left out: 1 rows without"):
        write(tmp_path, answer("a", prompt=""))

    def broken() -> Iterator[LoggedAnswer]:
        yield answer("a")
        raise ArtifactError("line 2 is broken")

    with pytest.raises(ArtifactError, match="line 2"):
        write_outcomes(broken(), SOURCE, tmp_path, LeftOut())
    assert list(tmp_path.iterdir()) == []


def test_questions_named_by_id_need_a_table_that_holds_them(tmp_path: Path) -> None:
    by_id = answer("a", prompt="", answer="", question_id="HumanEval/0")
    with pytest.raises(
        ArtifactError, match="name a question by its id; give --questions with these ids"
    ):
        write(tmp_path, by_id)
    known = {"question_id": "HumanEval/0", "benchmark": "own", "task": "t", "prompt": "def f():"}
    write_table(QUESTIONS, [known | {"answer": "x"}], tmp_path / "known.parquet")
    write(tmp_path / "out", by_id, known=tmp_path / "known.parquet")
    [question] = read_table(QUESTIONS, tmp_path / "out" / "questions.parquet").to_pylist()
    [outcome] = read_table(OUTCOMES, tmp_path / "out" / "outcomes.parquet").to_pylist()
    assert (question["prompt"], outcome["question_id"]) == ("def f():", "HumanEval/0")


def test_a_gold_answer_that_only_some_rows_state_is_no_conflict(tmp_path: Path) -> None:
    found = write(tmp_path, answer("a", answer=""), answer("b"), answer("c", answer="3"))
    assert found.num_by_candidate == {"a": 1, "b": 1}


def test_a_table_with_one_text_in_two_benchmarks_gets_each_outcome_once(tmp_path: Path) -> None:
    known = {"question_id": "q7", "benchmark": "own", "task": "t", "prompt": "1 + 1?"}
    write_table(QUESTIONS, [known | {"answer": "2"}], tmp_path / "known.parquet")
    found = write(
        tmp_path / "out",
        answer("a", benchmark="one"),
        answer("a", benchmark="two"),
        answer("b", answer="3"),
        known=tmp_path / "known.parquet",
    )
    assert found.num_outcomes == 1
    assert found.left_out["answers whose gold answer is not the table's"] == 1
    assert read_table(OUTCOMES, tmp_path / "out" / "outcomes.parquet").num_rows == 1


def test_values_of_another_shape_are_one_readable_error(tmp_path: Path) -> None:
    def broken() -> Iterator[LoggedAnswer]:
        yield answer("a", output="a lone \ud800")
        raise AttributeError("'list' object has no attribute 'get'")

    with pytest.raises(ArtifactError, match="has not the shape of its format"):
        write_outcomes(broken(), SOURCE, tmp_path, LeftOut())


def test_the_gold_answer_of_a_choice_is_its_letter_or_is_left_out(tmp_path: Path) -> None:
    prompt = "Which is a colour?\nA. stone\nB. blue"
    logged = [
        answer("a", prompt, answer="(b)", n_choices=2),
        answer("a", f"{prompt} ", answer="blue", n_choices=2),  # the same question again
        answer("a", f"Again. {prompt}", answer="blue", n_choices=2),
        answer("a", f"More. {prompt}", answer="green", n_choices=2),
    ]
    imported = write(tmp_path, *logged)
    rows = read_table(QUESTIONS, tmp_path / "questions.parquet").to_pylist()
    assert [(row["answer"], row["n_choices"]) for row in rows] == [("B", 2), ("B", 2), ("", None)]
    assert (
        imported.left_out["gold answers that name no option; the questions are kept without"] == 1
    )
