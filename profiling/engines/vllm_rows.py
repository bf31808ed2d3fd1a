"""What goes into a vLLM engine for one question, and what comes out of it."""

import io
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from modelsat.aptitude.own_requests import read_request
from modelsat.aptitude.prompts import PLAIN_STOP, TEMPERATURE, Prompts
from modelsat.grading.graders import grader_name
from profiling.checkpoint import MARGIN
from profiling.engines.vllm_parser import AnswerParser
from profiling.job import Row
from profiling.rendering import OPTION_TOKENS, QUESTION

_ERROR = "__inference_error__"  # Ray's column; empty unless the row failed


def sampling_params(
    row: Row, prompts: Prompts, limits: Mapping[str, int], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the sampling parameters of a row.

    The answer comes once, complete, and not after every token as well. The likelihoods of the
    options come with one generated token: likelihoods of the prompt itself would keep vLLM from
    reading its prefix cache, which holds the worked examples.

    Args:
        row: a question.
        prompts: how questions are put.
        limits: most tokens of an answer, by the name of the question's grader.
        own: sampling settings of the candidate and of its parser.
    """
    from vllm.sampling_params import RequestOutputKind

    sampling: dict[str, Any] = {
        "temperature": TEMPERATURE,
        **own,
        "output_kind": RequestOutputKind.FINAL_ONLY,
    }
    if prompts.scoring == "loglikelihood":
        sampling |= {"max_tokens": 1, "logprob_token_ids": row[OPTION_TOKENS]}
    else:
        sampling["max_tokens"] = limits[grader_name(row)]
        structure = answer_structure((read_request(row) or {}).get("response_format"))
        if structure is not None:
            sampling["structured_outputs"] = structure
        if not prompts.chat_template:
            sampling["stop"] = [PLAIN_STOP]
    return sampling


def multimodal_data(images: Sequence[bytes]) -> dict[str, Any]:
    """Return the fields of an engine's row that hold its images; none without images."""
    from PIL import Image

    if not images:
        return {}
    opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in images]
    return {"multimodal_data": {"image": opened}}


def answer_structure(response_format: Any) -> dict[str, Any] | None:
    """Return vLLM's form of an OpenAI ``response_format``; None if the answer is free text."""
    if not isinstance(response_format, Mapping):
        return None
    if response_format.get("type") == "json_object":
        return {"json_object": True}
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    return {"json": schema} if isinstance(schema, Mapping) else None


def neutral_row(row: Row, max_new_tokens: int, parser: AnswerParser | None = None) -> Row:
    """Return the columns that ``BatchKeeper`` needs from a row with the engine's columns.

    Ray's engine stage does not say why generation ended; an answer that has as many tokens as it
    may have is taken for one that was cut off.

    Args:
        row: a question with what the engine answered.
        max_new_tokens: most tokens that the answer may have.
        parser: reads its answer; None if the zoo names no parser.
    """
    output, margin = _answer(row)
    error = row[_ERROR]
    if parser is not None and output is not None and margin is None and not error:
        try:
            output = parser.answer(output, row["generated_tokens"], read_request(row) or {})
        except Exception as unread:  # noqa: BLE001 - a parser may be the operator's own code
            error = f"its parser failed: {type(unread).__name__}"
    is_cut = margin is None and (row["num_generated_tokens"] or 0) >= max_new_tokens
    return {
        "question_id": row["question_id"],
        "prompt": row[QUESTION],
        "answer": row["answer"],
        "n_choices": row["n_choices"],
        "grader": row["grader"],
        "grader_args": row["grader_args"],
        "output": output,
        "finish_reason": "length" if is_cut else "stop",
        "prompt_tokens": row["num_input_tokens"],
        "completion_tokens": row["num_generated_tokens"],
        "engine_request": row["request_id"],
        MARGIN: margin,
        "error": error,
    }


def _answer(row: Row) -> tuple[str | None, float | None]:
    """Return the generated text, or the likeliest option's letter and its lead in nats."""
    tokens = row[OPTION_TOKENS]
    if row[_ERROR] or not len(tokens):
        return row["generated_text"], None
    [likelihoods] = row["logprobs"]
    found = [likelihoods[int(token)]["logprob"] for token in tokens]
    # The first of equals, as in lm-eval.
    best = found.index(max(found))
    others = found[:best] + found[best + 1 :]
    return ascii_uppercase[best], found[best] - max(others) if others else None
