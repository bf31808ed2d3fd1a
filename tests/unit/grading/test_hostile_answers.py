"""Answers made to exhaust a grader are graded like others, and the next one as well."""

import json

import pytest

from modelsat.errors import ArtifactError
from modelsat.grading.bounded_work import BoundedWorker, LimitExceeded
from modelsat.grading.grade import JUDGE, VOTE
from modelsat.grading.graders import GRADERS, check_question, grade_answer

QUESTIONS = {
    "choice": {"prompt": "Which?\nA. Rome\nB. Paris", "answer": "A", "n_choices": 2},
    "text": {"prompt": "", "answer": "Paris"},
    "number": {"prompt": "", "answer": "7"},
    "math": {"prompt": "", "answer": r"\frac{1}{2}"},
    "contains": {"prompt": "", "answer": "Paris"},
    "regex": {"prompt": "", "answer": "(a+)+b"},
    "json_schema": {"prompt": "", "answer": '{"a": 1}'},
    "instructions": {
        "prompt": "",
        "answer": "",
        "grader_args": '{"constraints": [{"kind": "keyword", "of": "rain"}]}',
    },
    "code": {"prompt": "", "answer": "assert right"},
    "tool_call": {"prompt": "", "answer": '{"name": "f", "arguments": {}}'},
}
HOSTILE = {
    "nested think": "<think>" * 20_000,
    "options": "option " * 30_000,
    "answers": "the answer is " * 20_000,
    "letters": "A or B or " * 20_000,
    "spaces": "x" + " " * 10_000 + "x",
    "lines": "x" + "\n \n" * 10_000 + "x",
    "brackets": "(" * 200_000,
    "nested JSON": "[" * 100_000,
    "boxes": r"\boxed{" * 10_000,
    "digits": "9" * 100_000,
    "power tower": r"\boxed{9^{9^{9^{9}}}}",
    "backtracking": "a" * 100_000,
    "labels": "\u7b54\u6848\uff1a" * 100_000,
    "checks": "(Check: " * 40_000,
    "corrections": "The answer is 3. " + "Wait, no: 4. " * 25_000,
    "fractions": r"\frac{1" * 40_000,
    "questions": "a? " * 100_000,
    "nulls": "\0" * 10_000,
    "surrogate": "\ud800 is the answer",
    "fences": "```\n" * 20_000,
    "fenced code": "```\ndef right():\n```\n" * 15_000,
    "decorators": "@right\n" * 40_000,
    "attributes": "right" + ".right" * 50_000,
    "tool calls": "<tool_call>" * 25_000,
    "tool calls in braces": '<tool_call>{"name":' * 15_000,
    "parameters": "<function=g><parameter=" * 13_000,
    "recipients": "to=functions." * 25_000,
    "channels": "<|channel|>commentary to=functions.g <|message|>" * 6_000,
    "actions": "\nAction: g" * 30_000,
    "lists of calls": "[g(" * 100_000,
    "argument keys": "<tool_call>g" + "<arg_key>" * 30_000,
}


@pytest.mark.parametrize("answer", HOSTILE)
@pytest.mark.parametrize("grader", sorted(GRADERS.keys() - {JUDGE, VOTE}))
def test_a_hostile_answer_is_not_right(grader: str, answer: str) -> None:
    question = QUESTIONS[grader] | {"grader": grader}
    assert grade_answer(question, HOSTILE[answer]).score == 0


def test_work_that_takes_too_long_is_ended_and_the_next_one_works() -> None:
    worker = BoundedWorker()
    assert worker.are_equal("1", "2/2")
    worker._cpu_limit_s = 0.2
    with pytest.raises(LimitExceeded, match=r"more than 0\.2 s"):
        worker.are_equal(r"\sum_{k=1}^{10^9} \frac{1}{k^3}", r"\int_0^1 x^{x^{x}} dx")
    worker._cpu_limit_s = 3.0
    assert worker.are_equal("1", "2/2")
    worker.close()


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, json.dumps({"a": "a" * 60 + "b"})),
        ({"properties": {"a": {"$ref": "#"}}}, '{"a": ' * 400 + "1" + "}" * 400),
        ({"properties": {"a": {"multipleOf": 0.01}}}, '{"a": 5e999999999}'),
    ],
)
def test_a_document_that_a_schema_cannot_be_applied_to_is_not_right(schema, answer) -> None:
    args = json.dumps({"schema": schema | {"required": ["b"]}})
    question = {"prompt": "", "answer": "", "grader": "json_schema", "grader_args": args}
    check_question(question)
    assert grade_answer(question, answer).score == 0
    assert grade_answer(question, '{"b": 1}').score == 1


def test_a_schema_fetches_nothing() -> None:
    schema = json.dumps({"schema": {"$ref": "http://127.0.0.1:1/schema.json"}})
    question = {"prompt": "", "answer": "", "grader": "json_schema", "grader_args": schema}
    with pytest.raises(ArtifactError, match="Unresolvable"):
        check_question(question)
    assert grade_answer(question, "{}").score == 0
