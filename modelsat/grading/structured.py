"""Grade structured output: JSON documents and calls of tools."""

import json
from typing import Any

import jsonschema

from modelsat.grading import marked
from modelsat.grading.bounded_work import WORKER, LimitExceeded
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.schema import validator
from modelsat.grading.tool_calls import Written, calls_in, said_calls


class JsonSchemaGrader:
    """The answer is a JSON document that fits a schema and has the fields of the gold answer.

    Settings: ``schema``, a JSON Schema; ``partial``, true if the score is the share of gold fields
    that are right. The gold answer is JSON; empty if only the schema matters.
    """

    version = 2

    def check(self, question: GradedQuestion) -> None:
        """Check schema and gold answer, and that one fits the other."""
        for name in question.args:
            if name not in ("schema", "partial"):
                raise ValueError(f"unknown setting {name!r}; settings are schema and partial")
        schema = question.args.get("schema")
        if schema is None and not question.answer.strip():
            raise ValueError("there is neither a schema nor a gold answer")
        try:
            gold = _gold(question)
            if schema is not None:
                jsonschema.validators.validator_for(schema).check_schema(schema)
                list(validator(schema).iter_errors({}))  # resolves references, or raises
                if question.answer.strip():
                    validator(schema).validate(gold)
        except ValueError as error:
            raise ValueError(f"the gold answer {question.answer!r} is not JSON: {error}") from None
        except jsonschema.SchemaError as error:
            raise ValueError(f"the schema is not a valid JSON Schema: {error.message}") from None
        except jsonschema.ValidationError as error:
            raise ValueError(f"the gold answer does not fit the schema: {error.message}") from None

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold document, if there is one."""
        return question.answer.strip() or None

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Validate the answer's document and compare its fields."""
        documents = marked.json_documents(answer.text)
        if not documents:
            return Grade.without_result(answer, "has no JSON document")
        document = documents[-1]
        schema = question.args.get("schema")
        if schema is not None:
            try:
                error = WORKER.schema_error(schema, document)
            except LimitExceeded as exceeded:
                error = str(exceeded)
            if error is not None:
                return Grade.of_score(0.0, f"does not fit the schema: {error}")
        if not question.answer.strip():
            return Grade.of_score(1.0, "fits the schema")
        share = _share_of_fields(_gold(question), document)
        score = share if question.args.get("partial") else float(share == 1)
        return Grade.of_score(score, f"{share:.0%} of the fields are right")


class ToolCallGrader:
    """The answer calls the tools of the gold answer, in any order.

    The gold answer is JSON: ``{"name": ..., "arguments": {...}}`` or a list of them; an empty list
    means that no tool may be called. :mod:`modelsat.grading.tool_calls` lists the formats of calls
    in an answer. There are no settings.
    """

    version = 3

    def check(self, question: GradedQuestion) -> None:
        """Check that the gold answer lists calls."""
        if question.args:
            raise ValueError(f"unknown setting {next(iter(question.args))!r}; tool_call has none")
        try:
            gold = json.loads(question.answer)
        except ValueError as error:
            raise ValueError(f"the gold answer {question.answer!r} is not JSON: {error}") from None
        members = gold if isinstance(gold, list) else [gold]
        if len(list(calls_in(gold))) != len(members):
            raise ValueError(
                f"the gold answer {question.answer!r} must be calls, each with name and arguments"
            )

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold calls."""
        return question.answer

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Compare names and arguments."""
        wanted = list(calls_in(json.loads(question.answer)))
        said = said_calls(answer.text)
        if not said and wanted:
            return Grade.without_result(answer, "calls no tool")
        for name, arguments in wanted:
            place = next(
                (i for i, call in enumerate(said) if _same([name, arguments], [*call])), None
            )
            if place is None and answer.is_cut:
                return Grade.without_result(answer, f"ends before it calls {name!r} as wanted")
            if place is None:
                return Grade.of_score(0.0, f"does not call {name!r} as wanted")
            del said[place]
        if said:
            return Grade.of_score(0.0, f"also calls {said[0][0]!r}")
        return Grade.of_score(1.0, "makes the expected calls")


def _gold(question: GradedQuestion) -> Any:
    return json.loads(question.answer) if question.answer.strip() else None


def _share_of_fields(gold: Any, document: Any) -> float:
    """Return the share of gold fields that are equal; further fields make it less than 1."""
    if not isinstance(gold, dict) or not isinstance(document, dict):
        return float(_same(gold, document))
    keys = gold.keys() | document.keys()
    if not keys:
        return 1.0
    equal = [key for key in keys if key in gold and key in document]
    return sum(_same(gold[key], document[key]) for key in equal) / len(keys)


def _same(one: Any, other: Any) -> bool:
    """Compare JSON values: 1 is 1.0 but neither true nor "1"; spaces around text do not count."""
    if isinstance(other, Written):
        return any(_same(one, value) for value in other.values())
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
