"""Forms of the general test: same everywhere, never repeated, gradable, hard to guess."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from modelsat.aptitude.general import DOMAINS, TASKS, generate_form, select_tasks
from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.errors import ConfigError
from modelsat.grading.grade import Kind
from modelsat.grading.graders import check_question, grade_answer

NUM_FORMS = 6
# Of form 0. If it changes, the numbers of all forms mean other questions than before: results of
# old and new forms with equal numbers must not be mixed, so say so in the changelog.
FORM_0 = "cf23a83d33d4ad7b"
HASH = (
    "from modelsat.aptitude.general import generate_form;"
    "from modelsat.artifacts.hashing import content_hash;"
    "columns = ['question_id', 'prompt', 'answer', 'n_choices', 'grader', 'grader_args'];"
    "print(content_hash(generate_form(0)[0].select(columns).to_pylist()))"
)


@pytest.fixture(scope="module")
def forms():
    return [generate_form(form)[0].to_pylist() for form in range(NUM_FORMS)]


@pytest.fixture(scope="module")
def form(forms):
    return forms[0]


def of_task(rows, name):
    return [row for row in rows if row["task"] == name]


def stem_and_options(row):
    """A question whatever the letters and the order of its options."""
    lines = re.sub(r"^[A-D]\) ", "", row["prompt"], flags=re.MULTILINE).splitlines()
    return row["task"], "\n".join(sorted(lines) if row["n_choices"] else lines)


def test_fifty_tasks_in_fifteen_domains():
    assert len(TASKS) == len({task.name for task in TASKS}) == 50
    assert len(DOMAINS) == 15
    for task in TASKS:
        assert len(task.keywords) == len(set(task.keywords)) == 5
        assert not any("," in keyword for keyword in task.keywords)


def test_a_form_has_twenty_questions_of_each_task():
    table, task_set = generate_form(7)
    assert table.schema == QUESTIONS.arrow
    assert Counter(table["task"].to_pylist()) == dict.fromkeys((t.name for t in TASKS), 20)
    assert set(table["benchmark"].to_pylist()) == {"general"} == {task_set.benchmark}
    assert set(table["split"].to_pylist()) == {"aptitude"}
    assert table["question_id"].to_pylist() == list(task_set.question_ids)
    assert task_set.question_ids[0] == "general/7/expressions/01"
    assert {t.task: t.keywords for t in task_set.tasks} == {t.name: t.keywords for t in TASKS}


def test_the_same_number_gives_the_same_form_whatever_the_hash_seed(form):
    """Another process, with another order of hashes, generates the same."""
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    output = subprocess.check_output([sys.executable, "-c", HASH], env=environment, text=True)
    columns = ("question_id", "prompt", "answer", "n_choices", "grader", "grader_args")
    asked = [{name: row[name] for name in columns} for row in form]
    assert output.strip() == content_hash(asked) == FORM_0


def test_no_question_occurs_twice_in_a_form_or_in_two(forms):
    rows = [row for rows in forms for row in rows]
    for key in (stem_and_options, lambda row: row["dup_group"], lambda row: row["question_id"]):
        assert len({*map(key, rows)}) == len(rows) == NUM_FORMS * 1000


def test_the_questions_of_a_task_do_not_depend_on_other_tasks_and_fewer_shots_are_the_first(form):
    [task] = select_tasks(["race_order"], [])
    few = generate_form(0, shots=10, tasks=(task,))[0].to_pylist()
    assert few == of_task(form, "race_order")[:10]


def test_every_task_has_four_questions_of_each_level():
    levels = []
    [task] = select_tasks(["ciphers"], [])

    def draw(rng, level):
        levels.append(level)
        return task.draw(rng, level)

    generate_form(3, tasks=(replace(task, draw=draw),))
    assert levels == [1, 2, 3, 4, 5] * 4


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((-1,), "form is -1"), ((1, 7), "shots is 7; it must be a multiple of 5"), ((1, 0), "shots")],
)
def test_rejects_other_forms(arguments, named):
    with pytest.raises(ConfigError, match=named):
        generate_form(*arguments)


def test_selects_tasks_by_name_and_domain():
    assert select_tasks([], []) == TASKS
    chosen = select_tasks(["ciphers"], ["planning"])
    names = ["ciphers", "shortest_routes", "schedules", "best_selections"]
    assert [task.name for task in chosen] == names
    with pytest.raises(ConfigError, match="unknown task 'chess'; allowed: expressions, "):
        select_tasks(["chess"], [])
    with pytest.raises(ConfigError, match="unknown domain 'chess'; allowed: arithmetic, "):
        select_tasks([], ["chess"])


def test_prompts_are_short_and_complete(forms):
    for row in (row for rows in forms for row in rows):
        assert len(row["prompt"]) < 1_900, row["question_id"]
        assert not re.search(r"\{[a-z_]+\}", row["prompt"]), row["question_id"]
        assert "  " not in row["prompt"].replace("    ", ""), row["question_id"]


def test_options_are_four_and_the_right_one_has_every_letter_as_often(forms):
    for rows in forms:
        choices = [row for row in rows if row["n_choices"]]
        assert {row["n_choices"] for row in choices} == {4}
        for name in {row["task"] for row in choices}:
            letters = Counter(row["answer"] for row in of_task(choices, name))
            assert letters == dict.fromkeys("ABCD", 5)


def test_a_constant_answer_gets_little(forms):
    for task in TASKS:
        rows = [row for rows in forms for row in of_task(rows, task.name)]
        if rows[0]["answer"]:
            [(_, count)] = Counter(row["answer"] for row in rows).most_common(1)
            assert count / len(rows) <= (0.25 if rows[0]["n_choices"] else 0.2), task.name


def checked(rows):
    """All questions, but one of each level of those whose code a sandbox runs."""
    return [row for row in rows if row["grader"] != "code" or row["question_id"][-2:] <= "05"]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_gold_answers_are_right_by_their_grader_and_others_wrong(form, task):
    rows = checked(of_task(form, task.name))
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        check_question(row)
        wrong = {"instructions": "No.", "code": "def f(): return 1"}.get(row["grader"])
        if wrong is None:
            wrong = next(r["answer"] for r in (other, *rows) if r["answer"] != row["answer"])
            assert grade_answer(row, row["answer"]).kind is Kind.CORRECT
        assert wrong != row["answer"]
        grade = grade_answer(row, wrong)
        assert grade.kind in (Kind.INCORRECT, Kind.UNPARSABLE), (row["question_id"], grade)


def test_answers_in_the_usual_forms_are_right(form):
    """Reasoning before the answer, and the marks that models use, do not matter."""
    worded = {
        "number": "First we add.\n\n**{}**",
        "math": "Thus the result is\n\n$$\\boxed{{{}}}$$",
        "json_schema": "Let us see.\n```json\n{}\n```",
        "tool_call": "<tool_call>{}</tool_call>",
        "text": "{}.",
        "choice": "({})",
    }
    for row in form:
        if row["grader"] in worded:
            output = worded[row["grader"]].format(row["answer"])
            assert grade_answer(row, output).kind is Kind.CORRECT, row["question_id"]


def text_that_meets(constraints):
    """A text that meets constraints: required words, fillers, and marks of the format."""
    by_kind = {constraint["kind"]: constraint for constraint in constraints}

    def least(kind, default=1):
        return by_kind.get(kind, {}).get("min", default)

    tokens = by_kind.get("starts_with", {}).get("of", "uu").split()
    for constraint in constraints:
        if constraint["kind"] in ("keyword", "letter"):
            is_word = constraint["kind"] == "keyword"
            tokens += [constraint["of"]] * constraint.get("min", 1 if is_word else 0)
    end = by_kind.get("ends_with", {}).get("of", "")
    tokens += ["uu"] * (least("words", 30) - len(tokens) - len(end.split()))
    cut = max(least("sentences"), least("paragraphs")) - 1
    parts = [*tokens[:cut], " ".join(tokens[cut:])]
    separator = "\n\n" if "paragraphs" in by_kind else " "
    text = separator.join(f"{part}." for part in parts)
    text += "".join(f" **{'u' * i}**" for i in range(1, least("highlights", 0) + 1))
    text += " [u]" * least("placeholders", 0)
    text += "".join(f"\n* u{i}" for i in range(least("bullets", 0)))
    text = ("<<u>>\n" if "title" in by_kind else "") + text
    text += ("\n\np.s. u" if "postscript" in by_kind else "") + (f" {end}" if end else "")
    if "lower_case" in by_kind:
        return text.lower()
    return text.upper() if "upper_case" in by_kind else text


def test_the_rules_of_a_text_can_be_met_together(forms):
    for row in (row for rows in forms for row in rows if row["grader"] == "instructions"):
        text = text_that_meets(json.loads(row["grader_args"])["constraints"])
        grade = grade_answer(row, text)
        assert grade.kind is Kind.CORRECT, (row["question_id"], grade.reason, row["prompt"], text)


def test_no_constant_program_passes(form):
    """What a function returns for the example is not what it returns for most other tests."""
    for row in (row for row in form if row["grader"] == "code"):
        results = [line.rpartition(" == ")[2] for line in row["answer"].splitlines()]
        assert Counter(results).most_common(1)[0][1] <= len(results) // 2, row["question_id"]
