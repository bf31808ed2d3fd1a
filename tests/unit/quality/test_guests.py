"""Candidates of other sources: which of their answers are taken, and their aptitude test."""

import numpy as np
import pytest

from modelsat.aptitude.keywords import load_keywords
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import build_cards, read_cards
from modelsat.errors import ArtifactError
from modelsat.outcomes.leak_groups import with_leak_groups
from modelsat.quality.guests import guests_from, whole_benchmark_test

TASKS = sorted(load_keywords("mmlu"))[:6]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    questions = [
        {"question_id": f"m/{task}/{i}", "benchmark": "mmlu", "task": task, "answer": "A"}
        | {"prompt": f"Question {i} of {task}?"}
        for t, task in enumerate(TASKS)
        for i in range(4 if t == 0 else 8)
    ] + [
        {"question_id": f"g/{i}", "benchmark": "gsm8k", "task": "gsm8k", "answer": "1"}
        | {"prompt": f"How many apples are {i} and one?"}
        for i in range(20)
    ]
    outcomes = [
        {"question_id": row["question_id"], "candidate": name, "source": source}
        | {"correct": float((i + place) % 2)}
        for i, row in enumerate(questions)
        for place, (source, name) in enumerate(
            [("crowd", "one"), ("crowd", "two"), ("others", "one")]
        )
        if not (name == "two" and row["question_id"] == "g/3")
    ]
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    return (
        with_leak_groups(read_table(QUESTIONS, folder / "questions.parquet")),
        read_table(OUTCOMES, folder / "outcomes.parquet"),
    )


def test_only_their_own_source_counts_and_only_common_questions(tables):
    crowd = guests_from("crowd", *tables)
    tasks = whole_benchmark_test(crowd, "mmlu")
    cards = build_cards(crowd.outcomes, tasks)
    matrix = crowd.matrix("gsm8k", cards)
    assert matrix.candidates == ("one", "two")
    assert set(matrix.question_ids) == {f"g/{i}" for i in range(20)} - {"g/3"}
    assert not np.isnan(matrix.correct_QM).any()
    assert guests_from("nobody", *tables) is None


def test_tasks_with_few_questions_are_no_core_tasks(tables):
    tasks = whole_benchmark_test(guests_from("crowd", *tables), "mmlu")
    assert [task.task for task in tasks.tasks] == TASKS[1:]
    assert all(len(task.question_ids) == 8 for task in tasks.tasks)
    with pytest.raises(ArtifactError, match="no task of bbh has 5 questions"):
        whole_benchmark_test(guests_from("crowd", *tables), "bbh")


def test_a_data_set_holds_the_training_groups_only(tables, tmp_path):
    crowd = guests_from("crowd", *tables)
    tasks = whole_benchmark_test(crowd, "mmlu")
    tasks.save(tmp_path / "tasks.json")
    entry = crowd.data_set(
        "gsm8k", tmp_path / "tasks.json", tmp_path / "gsm8k", lambda group: group.endswith("1")
    )
    (path,) = entry["questions"]
    rows = read_table(QUESTIONS, path)
    assert sorted(rows["question_id"].to_pylist()) == ["g/1", "g/11"]
    assert set(read_cards(entry["cards"], [tasks.tasks_hash])) == {"one", "two"}
