import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.aptitude.selection import select_task_set
from modelsat.errors import ArtifactError, ConfigError, ZooError

WORDS = {name: list("abcde") for name in ("sums", "words", "facts")}
CANDIDATES = tuple(f"m{i}" for i in range(9))


def question(question_id, task, **others):
    row = {"question_id": question_id, "benchmark": "demo", "task": task, "prompt": "text"}
    return row | {"category": f"of {task}", "dup_group": None} | others


def zoo(num_questions=14, spreads=(("sums", 3.0), ("words", 2.0), ("facts", 0.3)), seed=0):
    """Questions and 0/1 outcomes of a zoo whose abilities spread by task as given."""
    rng = np.random.default_rng(seed)
    able_M = np.linspace(-0.5, 0.5, len(CANDIDATES))
    questions, outcomes = [], []
    for task, spread in spreads:
        for i in range(num_questions):
            questions.append(question(f"{task}-{i}", task))
            chance_M = 1 / (1 + np.exp(-2 * (spread * able_M - rng.uniform(-1, 1))))
            correct_M = (rng.random(len(CANDIDATES)) < chance_M).astype(float).tolist()
            outcomes += [(f"{task}-{i}", m, c) for m, c in zip(CANDIDATES, correct_M, strict=True)]
    return questions, outcomes


def tables(questions, outcomes):
    rows = [{"question_id": q, "candidate": m, "correct": c} for q, m, c in outcomes]
    return pa.Table.from_pylist(questions), pa.Table.from_pylist(rows)


def select(questions, outcomes, **options):
    settings = {"num_tasks": 2, "shots": 5, "seed": 0, "benchmark": "demo", "keywords": WORDS}
    settings |= options
    return select_task_set(*tables(questions, outcomes), **settings)


def chosen_by_hand(outcomes, task, shots):
    """An independent implementation of the rule for outcomes without ties."""
    ids = sorted({q for q, _, _ in outcomes if q.startswith(task)})
    correct = {(q, m): c for q, m, c in outcomes}
    matrix = np.array([[correct[q, m] for m in CANDIDATES] for q in ids])
    usable = [i for i in range(len(ids)) if 0.1 <= matrix[i].mean() <= 0.9]
    usable.sort(key=lambda i: matrix[i].mean())
    parts = np.array_split(usable, shots)
    rest = [np.delete(matrix, i, axis=0).sum(axis=0) for i in range(len(ids))]
    score = [np.corrcoef(matrix[i], rest[i])[0, 1] for i in range(len(ids))]
    return tuple(ids[max(part, key=lambda i: score[i])] for part in parts)


def test_each_difficulty_bin_contributes_its_most_discriminating_question():
    questions, outcomes = zoo(num_questions=23)
    rng = np.random.default_rng(3)
    graded = [(q, m, 0.8 * c + 0.2 * rng.random()) for q, m, c in outcomes]
    selection = select(questions, graded)
    assert [task.task for task in selection.task_set.tasks] == ["sums", "words"]
    for task in selection.task_set.tasks:
        assert task.question_ids == chosen_by_hand(graded, task.task, 5)


def test_prefers_discriminating_questions_to_noise():
    rng = np.random.default_rng(0)
    questions, outcomes = [], []
    for i in range(40):
        questions.append(question(f"{'good' if i % 2 else 'noise'}-{i}", "sums"))
        right = 2 + (i // 2) % 6  # the strongest candidates in a good question, any in a noisy one
        order = range(len(CANDIDATES)) if i % 2 else rng.permutation(len(CANDIDATES))
        outcomes += [
            (questions[-1]["question_id"], CANDIDATES[m], float(place >= 9 - right))
            for place, m in enumerate(order)
        ]
    selection = select(questions, outcomes, num_tasks=1, shots=4)
    ids = selection.task_set.question_ids
    assert all(q.startswith("good") for q in ids)
    report = selection.tasks[0]
    assert report.shots_discrimination > 0.7
    assert report.num_misordering == 0
    assert report.shots_reliability > report.separation.reliability


def test_selects_tasks_with_the_largest_spread():
    selection = select(*zoo(num_questions=40))
    assert [task.task for task in selection.tasks] == ["sums", "words"]
    spreads = [task.separation.spread_fraction for task in selection.tasks]
    assert spreads[0] > spreads[1]
    (dropped,) = selection.dropped
    assert dropped.task == "facts"
    assert dropped.reason.endswith("below that of 2 others")


def test_excludes_questions_that_nearly_all_answer_alike():
    questions, outcomes = zoo()
    for q, value in (("sums-0", 1.0), ("sums-1", 0.0)):
        outcomes = [(a, m, value if a == q else c) for a, m, c in outcomes]
    selection = select(questions, outcomes)
    assert not {"sums-0", "sums-1"} & set(selection.task_set.question_ids)
    report = {task.task: task for task in selection.tasks}["sums"]
    assert (report.num_questions, report.num_answered) == (14, 14)
    assert report.num_usable <= 12


@settings(max_examples=10)
@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_result_does_not_depend_on_order_or_names(random, seed):
    questions, outcomes = zoo(seed=1)
    # Thirds, so that sums in another order differ in the last bit.
    outcomes = [(q, m, c / 3 if int(q.split("-")[1]) % 2 else c) for q, m, c in outcomes]
    expected = select(questions, outcomes, seed=seed)
    random.shuffle(questions)
    random.shuffle(outcomes)
    assert select(questions, outcomes, seed=seed) == expected
    names = list(CANDIDATES)
    random.shuffle(names)
    new = {old: f"renamed {name}" for old, name in zip(CANDIDATES, names, strict=True)}
    renamed = select(questions, [(q, new[m], c) for q, m, c in outcomes], seed=seed)
    assert renamed.task_set == expected.task_set


def test_seed_breaks_ties():
    questions, outcomes = zoo(num_questions=30)
    chosen = {select(questions, outcomes, seed=seed).task_set.question_ids for seed in range(4)}
    assert len(chosen) > 1


def test_duplicates_count_once():
    questions, outcomes = zoo()
    for twin, task in (("twin-a", "sums"), ("twin-b", "words")):
        questions.append(question(twin, task, dup_group="sums-0"))
        outcomes += [(twin, m, c) for q, m, c in outcomes if q == "sums-0"]
    questions[0]["dup_group"] = "sums-0"
    kept = set()
    for seed in range(8):
        selection = select(questions, outcomes, seed=seed, shots=9, num_tasks=2)
        assert selection.excluded["questions that repeat another"] == 2
        group = {"sums-0", "twin-a", "twin-b"} & set(selection.task_set.question_ids)
        assert len(group) <= 1
        kept |= group
    assert len(kept) > 1


def test_excluded_rows_are_counted():
    questions, outcomes = zoo()
    questions += [
        question("blank", "sums", prompt="  "),
        question("no task", ""),
        question("unanswered", "sums"),
        question("foreign", "sums", benchmark="other"),
    ]
    outcomes = [(q, m, None if (q, m) == ("sums-2", "m1") else c) for q, m, c in outcomes]
    outcomes = [row for row in outcomes if row[:2] != ("sums-1", "m0")]
    outcomes += [("gone", "m0", 1.0), ("foreign", "m0", 7.0), ("blank", "m0", 1.0)]
    selection = select(questions, outcomes)
    assert selection.excluded == {
        "questions without text": 1,
        "questions without task": 1,
        "outcomes of unknown questions": 1,
        "questions not answered by all": 3,
        "questions that repeat another": 0,
    }
    assert not {"sums-1", "sums-2", "blank"} & set(selection.task_set.question_ids)
    assert selection.num_answers["m0"] == selection.num_answers["m1"] == 3 * 14 - 1


def test_only_listed_candidates_must_have_answered():
    questions, outcomes = zoo()
    outcomes = [row for row in outcomes if row[1] != "m8" or row[0] == "sums-0"]
    with pytest.raises(ConfigError, match="demo has 0 usable core tasks by task"):
        select(questions, outcomes)
    selection = select(questions, outcomes, candidates=CANDIDATES[:8])
    assert set(selection.num_answers) == set(CANDIDATES[:8])


def test_a_category_can_be_a_core_task():
    words = {"of sums": list("abcde"), "of words": list("abcde")}
    selection = select(*zoo(), keywords=words, task_column="category")
    assert [task.task for task in selection.task_set.tasks] == ["of sums", "of words"]
    assert [task.reason for task in selection.dropped] == ["no keywords"]


def test_report_is_json_with_the_task_set_hash():
    selection = select(*zoo())
    document = json.loads(json.dumps(selection.document(), allow_nan=False))
    assert document["tasks_hash"] == selection.task_set.tasks_hash
    best = document["tasks"][0]["separation"]["best"]
    assert best["candidate"] in CANDIDATES
    low, high = best["interval"]
    assert low < best["accuracy_fraction"] <= high


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_tasks": 4}, "demo has 3 usable core tasks by task; 4 were requested: request 3"),
        ({"num_tasks": 0}, "0 core tasks of 5 shots"),
        ({"shots": 1}, "2 core tasks of 1 shots"),
        ({"shots": 14, "num_tasks": 3}, "with too few usable questions"),
        ({"shots": 15}, "with too few usable questions: facts (1"),
        ({"keywords": {"sums": list("abcde")}}, "without keywords: facts, words"),
        ({"keywords": {"sums": list("abc")}}, "task 'sums'"),
    ],
)
def test_rejects_settings_that_give_too_few_tasks(options, named):
    with pytest.raises(ConfigError) as caught:
        select(*zoo(), **options)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("added", "named"),
    [
        (("sums-0", "m0", 1.0), "candidate 'm0' has two outcomes for 'sums-0'"),
        (("new", "m0", 1.5), "candidate 'm0', question 'new': correctness 1.5 is outside 0..1"),
        (("new", "m0", -0.5), "outside 0..1"),
        (("new", "m0", math.nan), "question 'new': correctness nan is outside 0..1"),
    ],
)
def test_rejects_invalid_outcomes(added, named):
    questions, outcomes = zoo()
    with pytest.raises(ArtifactError) as caught:
        select([*questions, question("new", "sums")], [*outcomes, added])
    assert named in str(caught.value)


def test_rejects_unusable_questions():
    questions, outcomes = zoo()
    with pytest.raises(ArtifactError, match=r"1 duplicate questions, .*'sums-0'"):
        select([*questions, question("sums-0", "words")], outcomes)
    with pytest.raises(ArtifactError, match=r"no questions of benchmark 'mmlu'; .*demo"):
        select(questions, outcomes, benchmark="mmlu")
    blank = [q | {"prompt": ""} for q in questions]
    with pytest.raises(ArtifactError, match="no question of demo has both text and a task"):
        select(blank, outcomes)
    apart = [row for row in outcomes if (row[1] == "m0") == (row[0] == "sums-0")]
    with pytest.raises(ArtifactError, match=r"answered by all 9 candidates; m0 .*fewest, 1"):
        select(questions, apart)


@pytest.mark.parametrize(
    ("candidates", "named"),
    [
        (("m0", "nobody"), "no outcome on demo for nobody; candidates with outcomes: m0, m1"),
        (("m0",), "1 candidates (m0) have outcomes on demo"),
        ((), "0 candidates (none)"),
    ],
)
def test_requires_at_least_two_candidates(candidates, named):
    with pytest.raises(ZooError) as caught:
        select(*zoo(), candidates=candidates)
    assert named in str(caught.value)
