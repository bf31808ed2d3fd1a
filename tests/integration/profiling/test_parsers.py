"""Answers are read by vLLM's own parsers; needs vLLM, but no engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelsat.errors import ZooError
from profiling.engines.vllm_parser import (
    AnswerParser,
    answer_parser,
    without_server_options,
)
from profiling.rendering import TokenizerSource

pytestmark = pytest.mark.ray

_TAGS = ["<think>", "</think>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    tokenizer.add_special_tokens({"additional_special_tokens": _TAGS})
    return tokenizer


def _reader(parser: str, tokenizer: Any, **template_arguments: Any) -> AnswerParser:
    source = TokenizerSource("thinker", "a/b", template_arguments=template_arguments)
    reader = answer_parser(source, {"reasoning_parser": parser}, tokenizer)
    assert reader is not None
    return reader


@pytest.mark.parametrize(
    ("parser", "text", "answer"),
    [
        ("deepseek_r1", "<think>Rome? No.</think>Paris", "Paris"),
        ("deepseek_r1", "Rome? No.</think>Paris", "Paris"),
        ("deepseek_r1", "<think>Rome?", ""),
        ("qwen3", "<think>\nRome? No.\n</think>\n\nParis", "Paris"),
        ("qwen3", "<think>\nRome?", ""),
        ("granite", "Here is my thought process: Rome? Here is my response: Paris", "Paris"),
    ],
)
def test_the_named_parser_separates_reasoning(
    parser: str, text: str, answer: str, tokenizer: Any
) -> None:
    assert _reader(parser, tokenizer).answer(text, [], {}).strip() == answer


def test_template_arguments_reach_the_parser(tokenizer: Any) -> None:
    quick = _reader("qwen3", tokenizer, enable_thinking=False)
    assert quick.answer("Paris", [], {}) == "Paris"


def test_marks_that_are_special_tokens_stay_in_the_text(tokenizer: Any) -> None:
    assert _reader("qwen3", tokenizer).sampling["skip_special_tokens"] is False
    assert _reader("granite", tokenizer).sampling["skip_special_tokens"] is True


def test_without_a_name_there_is_no_parser(tokenizer: Any) -> None:
    assert answer_parser(TokenizerSource("plain", "a/b"), {}, tokenizer) is None


def test_a_question_without_tools_may_say_so(tokenizer: Any) -> None:
    assert (
        _reader("deepseek_r1", tokenizer).answer("No.</think>Paris", [], {"tools": []}) == "Paris"
    )


@pytest.mark.parametrize(
    ("parser", "reason"),
    [
        ("qwen33", r"vLLM has no 'qwen33'; it has .*qwen3"),
        ("mistral", "tokenizer"),  # it needs Mistral's own
        ("olmo3", "KeyError|think"),
    ],
)
def test_a_parser_that_cannot_be_used_is_refused(parser: str, reason: str, tokenizer: Any) -> None:
    with pytest.raises(ZooError, match=f"'thinker': parser {parser} cannot be used: .*({reason})"):
        _reader(parser, tokenizer)


def test_a_plugin_that_does_not_exist_is_named(tokenizer: Any, tmp_path: Path) -> None:
    options = {"reasoning_parser": "mine", "reasoning_parser_plugin": str(tmp_path / "gone.py")}
    with pytest.raises(ZooError, match=r"gone\.py' is not a file"):
        answer_parser(TokenizerSource("thinker", "a/b"), options, tokenizer)


TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


def test_calls_of_tools_are_read_as_the_server_returns_them(tokenizer: Any) -> None:
    options = {"tool_call_parser": "hermes", "enable_auto_tool_choice": True}
    source = TokenizerSource("caller", "a/b")
    parser = answer_parser(source, options, tokenizer)
    assert parser is not None
    [call] = json.loads(parser.answer(CALL, [], {"tools": [TOOL]}))["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (
        *("add", {"a": 1}),
    )
    assert parser.answer("No call.", [], {"tools": [TOOL]}) == "No call."
    assert parser.answer(CALL, [], {}) == CALL  # nobody offered a tool
    assert answer_parser(source, {"tool_call_parser": "hermes"}, tokenizer) is None


def test_options_of_the_server_are_not_passed_to_the_engine() -> None:
    options = {"max_model_len": 64, "reasoning_parser": "qwen3", "tool_call_parser": "hermes"}
    served = {"enable_auto_tool_choice": True, "chat_template": "x", "max_model_length": 64}
    assert without_server_options(options | served) == {
        "max_model_len": 64,
        "reasoning_parser": "qwen3",
        "max_model_length": 64,  # unknown names are left for vLLM to refuse
    }
