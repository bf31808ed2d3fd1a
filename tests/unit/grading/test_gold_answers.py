"""A question whose gold answer, grader or settings cannot be right is refused by name."""

from typing import Any

import pytest

from modelsat.errors import ArtifactError
from modelsat.grading.graders import check_question, grade_answer, grader_versions, stored_grade

CHOICE = {"prompt": "Which?\nA. Rome\nB. Paris", "n_choices": 2}


@pytest.mark.parametrize("gold", ["B", "b", "(B)", "B.", "1", "Paris", "paris."])
def test_a_choice_states_its_gold_answer_in_any_usual_form(gold: str) -> None:
    row = CHOICE | {"answer": gold}
    check_question(row)
    assert grade_answer(row, "It is Paris.").score == 1
    assert grade_answer(row, "A").score == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (CHOICE | {"answer": "C"}, "'C' names no option; give a letter from A to B"),
        (CHOICE | {"answer": "2"}, "'2' names no option"),
        (CHOICE | {"answer": "London"}, "'London' names no option"),
        (CHOICE | {"answer": "A", "grader_args": '{"x": 1}'}, "unknown setting 'x'"),
        ({"answer": "A", "grader": "choice"}, "n_choices is None"),
        ({"answer": "x", "grader": "oracle"}, "unknown grader 'oracle'; there are choice, "),
        ({"answer": "x", "grader_args": "{"}, "is not JSON"),
        ({"answer": "x", "grader_args": "[]"}, "must be a JSON object"),
        ({"answer": " "}, "the gold answer is empty"),
        ({"answer": "!"}, "is unparsable by its own grader 'text'"),
        ({"answer": "x", "grader_args": '{"metric": "bleu"}'}, "exact or f1"),
        ({"answer": "far", "grader": "number"}, "'far' is not a number"),
        ({"answer": "1", "grader": "number", "grader_args": '{"tolerance": -1}'}, "at least 0"),
        ({"answer": "1", "grader": "number", "grader_args": '{"tolerance": Infinity}'}, "finite"),
        ({"answer": "1", "grader": "number", "grader_args": '{"near": 1}'}, "unknown setting"),
        ({"answer": "hello world", "grader": "math"}, "is prose; use the grader text"),
        ({"answer": "\\frac{", "grader": "math"}, "not a mathematical expression"),
        ({"answer": "[]", "grader": "contains"}, "the gold answer is empty"),
        ({"answer": "x", "grader": "contains", "grader_args": '{"require": "some"}'}, "all, any"),
        ({"answer": "(", "grader": "regex"}, "missing \\)"),
        ({"answer": "{", "grader": "json_schema"}, "is not JSON"),
        ({"answer": "", "grader": "json_schema"}, "neither a schema nor a gold answer"),
        (
            {"answer": "1", "grader": "json_schema", "grader_args": '{"schema": {"type": "no"}}'},
            "not a valid JSON Schema",
        ),
        (
            {"answer": "1", "grader": "json_schema", "grader_args": '{"schema": {"type": "null"}}'},
            "does not fit the schema",
        ),
        ({"answer": '{"town": "Ulm"}', "grader": "tool_call"}, "must be calls"),
        ({"answer": "def", "grader": "code"}, "the tests are not Python"),
        ({"answer": "", "grader": "code"}, "holds no test"),
        ({"answer": "def check(f): pass", "grader": "code"}, "entry_point is not set"),
        (
            {"answer": "assert f() == 1", "grader": "code"}
            | {"grader_args": '{"solution": "def f(): return 2"}'},
            "is incorrect by its own grader 'code'",
        ),
        ({"answer": "", "grader": "instructions"}, "a list of at least one object"),
        (
            {"answer": "", "grader": "instructions"}
            | {"grader_args": '{"constraints": [{"kind": "rhymes"}]}'},
            "has no known kind",
        ),
        (
            {"answer": "", "grader": "instructions"}
            | {"grader_args": '{"constraints": [{"kind": "keyword"}]}'},
            "keyword needs `of`",
        ),
    ],
)
def test_what_cannot_be_graded_is_refused(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArtifactError, match=f"question 'q7': .*{reason}"):
        check_question({"question_id": "q7", "prompt": "", **row})


def test_versions_of_the_graders_that_questions_want() -> None:
    rows = [CHOICE | {"answer": "A"}, {"answer": "x"}, {"answer": "1", "grader": "math"}]
    assert set(grader_versions(rows)) == {"choice", "text", "math"}


def test_only_a_grader_that_is_not_the_default_is_stored() -> None:
    for row, stored in [
        ({"prompt": "", "answer": "4"}, None),
        ({"prompt": "", "answer": "4", "grader": "text"}, None),
        ({"prompt": "", "answer": "4", "grader": "number"}, "number"),
    ]:
        columns = stored_grade(row, grade_answer(row, "4"))
        assert columns == {"correct": 1.0, "failure": None, "grader": stored}
