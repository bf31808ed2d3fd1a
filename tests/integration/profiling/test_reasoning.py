"""Reasoning is separated from answers by vLLM's own parsers; needs vLLM, but no engine."""

from typing import Any

import pytest

from modelsat.errors import ZooError
from profiling.engines.vllm_reasoning import ReasoningReader, reasoning_reader
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


def _reader(parser: str, tokenizer: Any, **template_arguments: Any) -> ReasoningReader:
    source = TokenizerSource("thinker", "a/b", template_arguments=template_arguments)
    reader = reasoning_reader(source, {"reasoning_parser": parser}, tokenizer)
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
    assert reasoning_reader(TokenizerSource("plain", "a/b"), {}, tokenizer) is None


def test_an_unknown_parser_is_refused_with_the_known_ones(tokenizer: Any) -> None:
    with pytest.raises(ZooError, match=r"'thinker'.*no reasoning_parser 'qwen33'.*qwen3"):
        _reader("qwen33", tokenizer)


def test_a_parser_for_another_tokenizer_is_refused(tokenizer: Any) -> None:
    with pytest.raises(ZooError, match=r"'thinker'.*'mistral' cannot work with its tokenizer"):
        _reader("mistral", tokenizer)
