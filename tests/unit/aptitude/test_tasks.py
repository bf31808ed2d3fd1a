import json

import pyarrow as pa
import pytest

from modelsat.aptitude.tasks import TaskSet, build_task_set, combine_task_sets, load_tasks
from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.store import write_json
from modelsat.errors import ArtifactError

OTHER_BENCHMARK = pa.table({"question_id": ["x"], "benchmark": ["b"], "task": ["t"]})
WORDS = {"sums": list("abcde"), "words": list("fghij")}


def questions(**counts):
    rows = [
        {"question_id": f"{task}-{i}", "benchmark": "demo", "task": task}
        for task, count in counts.items()
        for i in range(count)
    ]
    return pa.Table.from_pylist(rows)


def test_task_set_has_the_first_questions_of_each_task():
    task_set = build_task_set(questions(words=3, other=9, sums=2), WORDS, shots=2)
    assert task_set.benchmark == "demo"
    assert [task.task for task in task_set.tasks] == ["sums", "words"]
    assert task_set.question_ids == ("sums-0", "sums-1", "words-0", "words-1")
    assert task_set.tasks[0].description == "a, b, c, d, e"


def test_task_set_round_trips_with_its_hash(tmp_path):
    task_set = build_task_set(questions(words=3, sums=3), WORDS, shots=2)
    task_set.save(tmp_path / "tasks.json")
    loaded = load_tasks(tmp_path / "tasks.json")
    assert loaded == task_set
    assert loaded.tasks_hash == task_set.tasks_hash


def test_hash_changes_with_questions_and_keywords():
    table = questions(words=3, sums=3)
    hashes = {
        build_task_set(table, WORDS, shots=2).tasks_hash,
        build_task_set(table, WORDS, shots=3).tasks_hash,
        build_task_set(table, {**WORDS, "sums": list("abcdX")}, shots=2).tasks_hash,
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("table", "keywords", "named"),
    [
        (questions(words=1, sums=2), WORDS, "too few for {'words': 1}"),
        (questions(words=2), WORDS, "too few for {'sums': 0}"),
        (questions(words=2, sums=2), {"sums": list("abc")}, "keywords"),
        (questions(words=2, sums=2), {}, "tasks"),
        (
            pa.concat_tables(
                [
                    questions(sums=2, words=2),
                    pa.table({"question_id": ["x"], "benchmark": ["b"], "task": ["t"]}),
                ]
            ),
            WORDS,
            "exactly one benchmark, found ['b', 'demo']",
        ),
    ],
)
def test_rejects_input_that_makes_no_task_set(table, keywords, named):
    with pytest.raises(ArtifactError) as caught:
        build_task_set(table, keywords, shots=2)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"tasks": []}, "tasks"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_rejects_an_invalid_task_file(tmp_path, change, named):
    task_set = build_task_set(questions(words=2, sums=2), WORDS, shots=2)
    path = tmp_path / "tasks.json"
    write_json(path, {**task_set.model_dump(mode="json"), **change})
    with pytest.raises(ArtifactError, match=rf"tasks\.json: .*{named}"):
        load_tasks(path)


@pytest.mark.parametrize("repeat", ["task", "question"])
def test_rejects_duplicates(repeat):
    task = {"task": "t", "keywords": list("abcde"), "question_ids": ["q"]}
    second = task if repeat == "task" else {**task, "task": "u"}
    with pytest.raises(ValueError, match=f"a {repeat} occurs twice"):
        TaskSet.model_validate({"benchmark": "b", "tasks": [task, second]})


def task_set(benchmark, **tasks):
    rows = [
        {"task": task, "keywords": list("abcde"), "question_ids": ids}
        for task, ids in tasks.items()
    ]
    return TaskSet.model_validate({"benchmark": benchmark, "tasks": rows})


def test_a_combined_set_keeps_tasks_in_order_with_their_benchmark(tmp_path):
    ours = task_set("general", sums=["g1", "g2"], words=["g3"])
    combined = combine_task_sets([("a", ours), ("b", task_set("mmlu", law=["m1"]))])
    combined.save(tmp_path / "tasks.json")
    loaded = load_tasks(tmp_path / "tasks.json")
    assert loaded == combined
    assert loaded.tasks_hash == combined.tasks_hash
    assert combined.benchmark == "general+mmlu"
    assert [(t.task, combined.benchmark_of(t)) for t in combined.tasks] == [
        ("sums", "general"),
        ("words", "general"),
        ("law", "mmlu"),
    ]
    assert combined.question_ids == ("g1", "g2", "g3", "m1")
    more = combine_task_sets([("c", combined), ("d", task_set("own", law2=["o1"]))])
    assert more.benchmark == "general+mmlu+own"
    assert [more.benchmark_of(t) for t in more.tasks] == ["general", "general", "mmlu", "own"]


def test_a_set_combined_from_one_benchmark_is_an_ordinary_set():
    parts = [("a", task_set("general", sums=["g1"])), ("b", task_set("general", words=["g2"]))]
    assert combine_task_sets(parts) == task_set("general", sums=["g1"], words=["g2"])


def test_hash_and_file_of_an_ordinary_set_are_those_of_earlier_releases(tmp_path):
    ordinary = task_set("demo", sums=["q1"])
    ordinary.save(tmp_path / "tasks.json")
    row = {"task": "sums", "keywords": list("abcde"), "question_ids": ["q1"]}
    expected = {"schema_version": 1, "benchmark": "demo", "tasks": [row]}
    assert json.loads((tmp_path / "tasks.json").read_text()) == expected
    assert ordinary.tasks_hash == content_hash(expected)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (task_set("mmlu", sums=["m1"]), "task 'sums' is in one.json and in two.json"),
        (task_set("mmlu", law=["g1"]), "question 'g1' is in one.json and in two.json"),
    ],
)
def test_sets_that_share_a_task_or_a_question_are_not_combined(other, named):
    with pytest.raises(ArtifactError, match=named):
        combine_task_sets([("one.json", task_set("general", sums=["g1"])), ("two.json", other)])


def test_a_set_is_not_combined_with_itself():
    ours = task_set("general", sums=["g1"])
    with pytest.raises(ArtifactError, match="task 'sums' is in a and in a"):
        combine_task_sets([("a", ours), ("a", ours)])
