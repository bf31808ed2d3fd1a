"""Answers read by vLLM's parsers of reasoning and of tool calls, where a zoo entry names them.

Profiling reads an answer as clients of the served candidate get it. vLLM's parsers also know models
that mark reasoning by special tokens, which the plain text does not show.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelsat.errors import ZooError
from profiling.rendering import TokenizerSource

_HARMONY = "openai_gptoss"  # vLLM reads the channels of gpt-oss from tokens, not from text
_PLUGINS = ("reasoning_parser_plugin", "tool_parser_plugin")


class AnswerParser:
    """The parsers of one candidate.

    Args:
        source: the candidate's tokenizer and arguments of its chat template.
        reasoning_parser: name that vLLM knows the parser of reasoning by, such as ``qwen3``.
        tool_parser: name of the parser of tool calls, such as ``hermes``.
        tokenizer: the loaded tokenizer.

    Attributes:
        sampling: sampling parameters that keep in the text what the parsers look for.

    Raises:
        ZooError: vLLM has no such parser, or it cannot be used with this tokenizer.
    """

    def __init__(
        self,
        source: TokenizerSource,
        reasoning_parser: str | None,
        tool_parser: str | None,
        tokenizer: Any,
    ) -> None:
        self._tokenizer = tokenizer
        self._arguments = {**source.template_arguments}
        self._arguments.pop("chat_template", None)  # parsers do not read the template
        self._reads_calls = tool_parser is not None
        try:
            self._class = _parser_class(reasoning_parser, tool_parser)
            self.sampling: Mapping[str, bool] = self._sampling()
            self.answer("", [], {})  # some parsers load their vocabulary with the first answer
        except Exception as error:  # noqa: BLE001 - a parser may be the operator's own code
            named = " and ".join(filter(None, (reasoning_parser, tool_parser)))
            raise ZooError(
                f"candidate {source.candidate!r}: parser {named} cannot be used: "
                f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            ) from None

    def answer(self, text: str, tokens: Sequence[int], request: Mapping[str, Any]) -> str:
        """Return an answer without its reasoning, calls of tools as the OpenAI API's JSON.

        Empty if the reasoning never ended.

        Args:
            text: everything that the model said.
            tokens: ids of its tokens.
            request: fields of the question's chat request, such as ``tools``.
        """
        chat = self._chat(request)
        parser = self._parser(chat)
        parser.adjust_request(chat)
        _, content, calls = parser.parse(
            text, chat, enable_auto_tools=self._reads_calls, model_output_token_ids=tokens
        )
        if not calls:
            return content or ""
        functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
        document = {"tool_calls": [{"type": "function", "function": one} for one in functions]}
        return "\n".join(filter(None, [content, json.dumps(document)]))

    def _sampling(self) -> Mapping[str, bool]:
        chat = self._chat({})
        self._parser(chat).adjust_request(chat)
        names = ("skip_special_tokens", "spaces_between_special_tokens")
        return {name: getattr(chat, name) for name in names}

    def _parser(self, chat: Any) -> Any:
        return self._class(self._tokenizer, chat.tools, chat_template_kwargs=self._arguments)

    def _chat(self, request: Mapping[str, Any]) -> Any:
        """Return vLLM's form of a request; its messages are not read."""
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        fields = {"tools": request["tools"]} if request.get("tools") else {}
        return ChatCompletionRequest(
            messages=[{"role": "user", "content": ""}],
            chat_template_kwargs=self._arguments,
            **fields,
        )


def answer_parser(
    source: TokenizerSource, engine_kwargs: Mapping[str, Any], tokenizer: Any
) -> AnswerParser | None:
    """Return the parser of a candidate's answers; None if its engine names none.

    Args:
        source: the candidate's tokenizer and arguments of its chat template.
        engine_kwargs: options of its engine: ``reasoning_parser``, ``tool_call_parser`` with
            ``enable_auto_tool_choice``, and files of Python code that register parsers of the
            operator's own (``reasoning_parser_plugin``, ``tool_parser_plugin``).
        tokenizer: the loaded tokenizer.

    Raises:
        ZooError: a plugin is not a file; or as :class:`AnswerParser`.
    """
    reasoning = engine_kwargs.get("reasoning_parser") or None
    tools = engine_kwargs.get("tool_call_parser") or None
    if not engine_kwargs.get("enable_auto_tool_choice"):
        tools = None
    if reasoning is None and tools is None:
        return None
    for name in _PLUGINS:
        if plugin := engine_kwargs.get(name):
            if not Path(plugin).is_file():
                raise ZooError(f"candidate {source.candidate!r}: {name} {plugin!r} is not a file")
            _import_plugin(name, plugin)
    return AnswerParser(source, reasoning, tools, tokenizer)


def without_server_options(engine_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an engine alone; a zoo entry also holds those of vLLM's server."""
    from dataclasses import fields

    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import FrontendArgs

    served = {one.name for one in fields(FrontendArgs)}
    served -= {one.name for one in fields(AsyncEngineArgs)}
    return {name: value for name, value in engine_kwargs.items() if name not in served}


def _parser_class(reasoning_parser: str | None, tool_parser: str | None) -> Any:
    from vllm.parser.parser_manager import ParserManager
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    for name, manager in (
        (reasoning_parser, ReasoningParserManager),
        (tool_parser, ToolParserManager),
    ):
        known = manager.list_registered()
        if name is not None and name not in known:
            raise ValueError(f"vLLM has no {name!r}; it has {', '.join(known)}")
    return ParserManager.get_parser(
        tool_parser_name=tool_parser,
        reasoning_parser_name=reasoning_parser,
        enable_auto_tools=tool_parser is not None,
        is_harmony=reasoning_parser == _HARMONY,
    )


def _import_plugin(name: str, plugin: str) -> None:
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    if name == "reasoning_parser_plugin":
        ReasoningParserManager.import_reasoning_parser(plugin)
    else:
        ToolParserManager.import_tool_parser(plugin)
