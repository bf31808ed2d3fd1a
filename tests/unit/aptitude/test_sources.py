"""Benchmark rows, made-up texts in the real columns, become questions."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelsat.aptitude.benchmarks import BENCHMARKS
from modelsat.aptitude.images import ImageWriter
from modelsat.aptitude.keywords import load_keywords
from modelsat.aptitude.sources import draw_per_task, import_benchmark, import_questions
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.errors import ArtifactError, ConfigError, MachineError
from modelsat.grading.grade import Kind
from modelsat.grading.graders import grade_answer


def import_here(*args, **options):
    return import_benchmark(*args, images=ImageWriter(Path("no images here")), **options)


def import_own(path):
    return import_questions(path, ImageWriter(Path("no images here")))


# One row of each data set, its question as it must come out, and the text that is right.
ROWS = {
    "mmlu": (
        {
            "question": "Which is round?",
            "subject": "anatomy",
            "choices": ["Box", "Ball", "Bar", "Bed"],
        }
        | {"answer": 1},
        {"question_id": "mmlu/anatomy/test/0", "task": "anatomy", "answer": "B"},
        "Which is round?\nA. Box\nB. Ball\nC. Bar\nD. Bed",
    ),
    "mmlu_pro": (
        {"question_id": 7, "question": "Pick three.", "options": ["1", "2", "3"], "answer": "C"}
        | {"answer_index": 2, "category": "math", "src": "made-up", "cot_content": ""},
        {"question_id": "mmlu_pro/7", "task": "made-up", "category": "math", "answer": "C"},
        "Pick three.\nA. 1\nB. 2\nC. 3",
    ),
    "winogrande": (
        {"sentence": "The cup is on the tray as _ is flat.", "option1": "cup", "option2": "tray"}
        | {"answer": "2"},
        {"question_id": "winogrande/winogrande/validation/0", "task": "winogrande", "answer": "B"},
        "The cup is on the tray as _ is flat.\nWhich option belongs in the place of the blank?\n"
        "A. cup\nB. tray",
    ),
    "arc_challenge": (
        {"id": "X_1", "question": "What melts?", "answerKey": "3"}
        | {"choices": {"text": ["rock", "sand", "ice"], "label": ["1", "2", "3"]}},
        {"question_id": "arc_challenge/X_1", "task": "arc_challenge", "answer": "C"},
        "What melts?\nA. rock\nB. sand\nC. ice",
    ),
    "boolq": (
        {"question": "is the hut blue", "passage": "The hut is red.", "answer": False},
        {"question_id": "boolq/boolq/validation/0", "task": "boolq", "answer": "B"},
        "The hut is red.\n\nIs the hut blue?\nA. Yes\nB. No",
    ),
    "mrpc": (
        {"sentence1": "It rained.", "sentence2": "Rain fell.", "label": 1, "idx": 4},
        {"question_id": "mrpc/validation/4", "task": "mrpc", "answer": "B"},
        "Sentence 1: It rained.\nSentence 2: Rain fell.\nDo the two sentences say the same?\n"
        "A. No\nB. Yes",
    ),
    "mnli": (
        {"premise": "A dog runs.", "hypothesis": "Nothing moves.", "label": 2, "idx": 0},
        {"question_id": "mnli/validation_matched/0", "task": "mnli", "answer": "C"},
        "Premise: A dog runs.\nHypothesis: Nothing moves.\n"
        "What does the premise say of the hypothesis?\n"
        "A. It is true\nB. Nothing for certain\nC. It is false",
    ),
}


def save(path: Path, rows: list[dict]) -> Path:
    """Write rows in the format of the file's suffix; nested values as JSON in a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            for row in rows:
                nested = {k: json.dumps(v) for k, v in row.items() if isinstance(v, list | dict)}
                writer.writerow(row | nested)
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("name", ROWS)
def test_converts_a_row_to_a_question(tmp_path, name, kind):
    row, expected, prompt = ROWS[name]
    file = save(tmp_path / f"rows.{kind}", [row])
    [question] = import_here(BENCHMARKS[name], str(file)).questions.to_pylist()
    assert question["prompt"] == prompt
    assert {key: question[key] for key in expected} == expected
    assert question["benchmark"] == name
    assert question["n_choices"] == len(prompt[prompt.index("\nA. ") + 1 :].splitlines())
    assert question["split"] == BENCHMARKS[name].split


def test_correct_choice_of_truthfulqa_is_shuffled(tmp_path):
    rows = []
    for i in range(40):
        choices = [f"right {i}", "wrong", "false", "untrue"]
        targets = {"choices": choices, "labels": [1, 0, 0, 0]}
        rows.append({"question": f"Which is it, number {i}?", "mc1_targets": targets})
    file = save(tmp_path / "rows.parquet", rows)
    questions = import_here(BENCHMARKS["truthfulqa"], str(file)).questions.to_pylist()
    for i, question in enumerate(questions):
        lines = question["prompt"].splitlines()
        assert lines[0] == f"Which is it, number {i}?"
        assert f"{question['answer']}. right {i}" in lines
        assert sorted(line[3:] for line in lines[1:]) == sorted([f"right {i}", *choices[1:]])
    assert {question["answer"] for question in questions} == set("ABCD")
    again = import_here(BENCHMARKS["truthfulqa"], str(save(tmp_path / "b.jsonl", rows[::-1])))
    assert sorted(q["prompt"] for q in again.questions.to_pylist()) == sorted(
        q["prompt"] for q in questions
    )


def test_mmlu_is_numbered_by_subject_and_groups_duplicates(tmp_path):
    def row(subject, question):
        choices = ["a", "b", "c", "d"]
        return {"question": question, "subject": subject, "choices": choices, "answer": 0}

    rows = [row("anatomy", "One?"), row("virology", "Two?"), row("anatomy", "two? ")]
    file = save(tmp_path / "rows.parquet", rows)
    questions = import_here(BENCHMARKS["mmlu"], str(file), split="dev").questions
    ids = ["mmlu/anatomy/dev/0", "mmlu/virology/dev/0", "mmlu/anatomy/dev/1"]
    assert questions["question_id"].to_pylist() == ids
    assert questions["dup_group"].to_pylist() == [ids[0], ids[1], ids[1]]
    assert set(questions["task"].to_pylist()) <= set(load_keywords("mmlu"))


def test_reads_the_original_mmlu_archive(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "virology_test.csv").write_text('"Is it, or not?",w,x,y,z,D\n')
    (tmp_path / "test" / "anatomy_test.csv").write_text("Who?,1,2,3,4,A\nWhat?,1,2,3,4,B\n")
    questions = import_here(BENCHMARKS["mmlu"], str(tmp_path)).questions.to_pylist()
    assert [(q["question_id"], q["answer"]) for q in questions] == [
        ("mmlu/anatomy/test/0", "A"),
        ("mmlu/anatomy/test/1", "B"),
        ("mmlu/virology/test/0", "D"),
    ]
    assert questions[2]["prompt"] == "Is it, or not?\nA. w\nB. x\nC. y\nD. z"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An offline cache of the hub library with a dataset in it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub" / "datasets--cais--mmlu"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c0ffee" * 6 + "c0ff")
    row, *_ = ROWS["mmlu"]
    snapshot = folder / "snapshots" / ("c0ffee" * 6 + "c0ff")
    save(snapshot / "all" / "test-00000-of-00002.parquet", [row])
    save(snapshot / "all" / "test-00001-of-00002.parquet", [row])
    save(snapshot / "all" / "dev-00000-of-00001.parquet", [row])


def test_downloads_from_the_hub_and_records_the_revision(hub):
    imported = import_here(BENCHMARKS["mmlu"])
    ids = imported.questions["question_id"].to_pylist()
    assert ids == ["mmlu/anatomy/test/0", "mmlu/anatomy/test/1"]
    assert imported.manifest["revision"] == "c0ffee" * 6 + "c0ff"
    assert imported.manifest["source"] == "cais/mmlu"


def test_hub_failure_is_a_one_line_error(hub):
    with pytest.raises(MachineError, match="cannot download dataset other/mmlu") as error:
        import_here(BENCHMARKS["mmlu"], "other/mmlu")
    assert "\n" not in str(error.value)
    with pytest.raises(ArtifactError, match="no split 'validation' of mmlu"):
        import_here(BENCHMARKS["mmlu"], split="validation")
    with pytest.raises(ConfigError, match="nor a hub id"):
        import_here(BENCHMARKS["mmlu"], "no-such-file.csv")


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("winogrande", {"answer": ""}, "matches no option; allowed: 1, 2 .*choose another"),
        ("mrpc", {"label": -1}, "column 'label' is '-1'"),
        ("mmlu", {"answer": 4}, "allowed: A, B, C, D or 0, 1, 2, 3"),
        ("mmlu_pro", {"options": ["only one"]}, "at least two texts"),
        ("mmlu_pro", {"question": " "}, "column 'question' has no text"),
        ("arc_challenge", {"choices": "rock"}, "expected a list or its JSON"),
    ],
)
def test_error_names_a_row_that_cannot_be_converted(tmp_path, name, change, named):
    row, *_ = ROWS[name]
    file = save(tmp_path / "rows.jsonl", [row, {**row, **change}])
    with pytest.raises(ArtifactError, match=rf"rows\.jsonl, row 2: .*{named}"):
        import_here(BENCHMARKS[name], str(file))


def test_error_names_the_columns_of_another_benchmark(tmp_path):
    file = save(tmp_path / "rows.parquet", [ROWS["mnli"][0]])
    with pytest.raises(ArtifactError, match=r"needs .* field 'question'; found hypothesis"):
        import_here(BENCHMARKS["boolq"], str(file))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.txt", ""),
        ("rows.csv", "question,answer\nx\n"),
        ("rows.jsonl", "[1]\n"),
        ("rows.jsonl", "{"),
        ("rows.parquet", "text"),
    ],
)
def test_error_names_an_unreadable_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ArtifactError, match=name):
        import_here(BENCHMARKS["boolq"], str(tmp_path / name))


def test_imported_questions_are_graded_by_letter_and_by_text(tmp_path):
    row, *_ = ROWS["arc_challenge"]
    file = save(tmp_path / "rows.parquet", [row])
    [question] = import_here(BENCHMARKS["arc_challenge"], str(file)).questions.to_pylist()
    for output, kind in [("C", Kind.CORRECT), ("ice", Kind.CORRECT), ("sand", Kind.INCORRECT)]:
        assert grade_answer(question, output).kind is kind


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_own_table_keeps_its_columns(tmp_path, kind):
    row = {"question_id": "q1", "benchmark": "mine", "task": "sums", "prompt": "1+1?"}
    rows = [row | {"answer": "2", "n_choices": None, "hint": "easy"}]
    rows += [row | {"question_id": "q2", "answer": "B", "n_choices": 4, "hint": "hard"}]
    imported = import_own(save(tmp_path / f"mine.{kind}", rows)).questions
    write_table(QUESTIONS, imported, tmp_path / "out.parquet")
    back = read_table(QUESTIONS, tmp_path / "out.parquet").to_pylist()
    assert [(q["question_id"], q["answer"], q["n_choices"]) for q in back] == [
        ("q1", "2", None),
        ("q2", "B", 4),
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("question_id,benchmark,task,answer\nq,b,t,a\n", r"lacks the questions columns \['prompt'"),
        ("question_id,benchmark,task,prompt,answer,n_choices\nq,b,t,p,a,few\n", "row 1: .*'few'"),
        ("question_id,benchmark,task,prompt,answer\n", "has no rows"),
    ],
)
def test_rejects_an_invalid_own_table(tmp_path, text, named):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ArtifactError, match=named):
        import_own(tmp_path / "mine.csv")


def test_draw_per_task_does_not_depend_on_order():
    rows = [
        {"question_id": f"{task}-{i}", "benchmark": "b", "task": task, "prompt": "p", "answer": "a"}
        for i in range(9)
        for task in ("x", "y")
    ]
    table = pa.Table.from_pylist([*rows, {**rows[0], "question_id": "z-0", "task": "z"}])
    drawn = draw_per_task(table, 3, seed=1)["question_id"].to_pylist()
    assert sorted(question_id[0] for question_id in drawn) == [*"xxx", *"yyy", "z"]
    assert [q for q in table["question_id"].to_pylist() if q in drawn] == drawn
    shuffled = draw_per_task(table.take(list(range(18, -1, -1))), 3, seed=1)
    assert sorted(shuffled["question_id"].to_pylist()) == sorted(drawn)
    assert draw_per_task(table, 3, seed=2)["question_id"].to_pylist() != drawn
    with pytest.raises(ConfigError, match="0 questions per task"):
        draw_per_task(table, 0, seed=1)


def test_gold_answers_of_an_own_table_are_normalised(tmp_path):
    row = {"benchmark": "mine", "task": "towns", "prompt": "Capital?\nA. Rome\nB. Paris"}
    stated = [("B", 2), ("(b)", 2), ("B.", 2), (1, 2), ("Paris", 2), (["Paris", "Lutetia"], None)]
    rows = [
        row | {"question_id": f"q{i}", "answer": answer, "n_choices": n_choices}
        for i, (answer, n_choices) in enumerate(stated)
    ]
    rows.append(
        row | {"question_id": "n", "answer": 3, "grader": "number", "grader_args": {"tolerance": 1}}
    )
    imported = import_own(save(tmp_path / "mine.jsonl", rows)).questions.to_pylist()
    assert [question["answer"] for question in imported[:5]] == ["B"] * 5
    assert grade_answer(imported[5], "Lutetia").kind is Kind.CORRECT
    assert grade_answer(imported[6], "4").kind is Kind.CORRECT


@pytest.mark.parametrize(("answer", "n_choices"), [("C", 2), ("London", 2), ("7", 2), ("", None)])
def test_a_gold_answer_that_cannot_be_right_is_refused_with_its_row(tmp_path, answer, n_choices):
    row = {"question_id": "q1", "benchmark": "mine", "task": "t", "prompt": "?\nA. x\nB. y"}
    rows = [row | {"answer": answer, "n_choices": n_choices}]
    with pytest.raises(ArtifactError, match=r"mine\.jsonl, row 1: question 'q1': the gold answer"):
        import_own(save(tmp_path / "mine.jsonl", rows))
