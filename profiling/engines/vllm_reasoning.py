"""Reasoning separated from answers by the vLLM parser that a zoo entry names.

Profiling reads an answer as clients of the served candidate get it. vLLM's parsers also know models
that mark reasoning by special tokens, which the plain text does not show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelsat.errors import ZooError
from profiling.rendering import TokenizerSource

_HARMONY = "openai_gptoss"  # vLLM reads the channels of gpt-oss from tokens, not from text


class ReasoningReader:
    """The reasoning parser of one candidate.

    Args:
        source: the candidate's tokenizer and arguments of its chat template.
        parser: name that vLLM knows the parser by, such as ``qwen3``.
        tokenizer: the loaded tokenizer.

    Attributes:
        sampling: sampling parameters that keep in the text what the parser looks for.

    Raises:
        ZooError: vLLM has no such parser, or the parser cannot read with this tokenizer.
    """

    def __init__(self, source: TokenizerSource, parser: str, tokenizer: Any) -> None:
        from vllm.parser.parser_manager import ParserManager
        from vllm.reasoning import ReasoningParserManager

        known = ReasoningParserManager.list_registered()
        if parser not in known:
            raise ZooError(
                f"candidate {source.candidate!r}: vLLM has no reasoning_parser {parser!r}; it has "
                f"{', '.join(known)}"
            )
        self._parser_class: Any = ParserManager.get_parser(
            reasoning_parser_name=parser, is_harmony=parser == _HARMONY
        )
        self._tokenizer = tokenizer
        self._arguments = source.template_arguments
        try:
            self.sampling: Mapping[str, bool] = self._sampling()
        except (RuntimeError, TypeError, ValueError) as error:
            raise ZooError(
                f"candidate {source.candidate!r}: reasoning_parser {parser!r} cannot "
                f"work with its tokenizer: {' '.join(str(error).split())[:200]}"
            ) from None

    def answer(self, text: str, tokens: Sequence[int], request: Mapping[str, Any]) -> str:
        """Return an answer without its reasoning; empty if the reasoning never ended.

        Args:
            text: everything that the model said.
            tokens: ids of its tokens.
            request: fields of the question's chat request, such as ``tools``.
        """
        chat = self._chat(request)
        parser = self._parser(chat)
        parser.adjust_request(chat)
        _, content, _ = parser.parse(text, chat, model_output_token_ids=tokens)
        return content or ""

    def _sampling(self) -> Mapping[str, bool]:
        chat = self._chat({})
        self._parser(chat).adjust_request(chat)
        names = ("skip_special_tokens", "spaces_between_special_tokens")
        return {name: getattr(chat, name) for name in names}

    def _parser(self, chat: Any) -> Any:
        return self._parser_class(
            self._tokenizer, chat.tools, chat_template_kwargs=dict(self._arguments)
        )

    def _chat(self, request: Mapping[str, Any]) -> Any:
        """Return vLLM's form of a request; its messages are not read."""
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        fields = {name: value for name, value in request.items() if name == "tools"}
        return ChatCompletionRequest(
            messages=[{"role": "user", "content": ""}],
            chat_template_kwargs=dict(self._arguments),
            **fields,
        )


def reasoning_reader(
    source: TokenizerSource, engine_kwargs: Mapping[str, Any], tokenizer: Any
) -> ReasoningReader | None:
    """Return the reader of a candidate's reasoning; None if its engine names no parser.

    Args:
        source: the candidate's tokenizer and arguments of its chat template.
        engine_kwargs: options of its engine: ``reasoning_parser`` and, for a parser of the
            operator's own, ``reasoning_parser_plugin``, a file of Python code.
        tokenizer: the loaded tokenizer.

    Raises:
        ZooError: as :class:`ReasoningReader`.
    """
    parser = engine_kwargs.get("reasoning_parser")
    if not parser:
        return None
    if plugin := engine_kwargs.get("reasoning_parser_plugin"):
        from vllm.reasoning import ReasoningParserManager

        ReasoningParserManager.import_reasoning_parser(plugin)
    return ReasoningReader(source, parser, tokenizer)
