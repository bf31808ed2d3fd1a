"""Calls of tools in the formats of current models."""

import json
import re
from collections.abc import Iterator
from typing import Any

from modelsat.grading.fences import fenced_blocks
from modelsat.grading.marked import json_documents, whole_document
from modelsat.grading.python_calls import listed_calls, python_calls

Call = tuple[str, dict[str, Any]]  # name and arguments

_NAMES = ("name", "function", "tool", "tool_name", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input", "action_input")
_NESTED = ("tool_calls", "tool_call", "function_call")
# What stands before a call. Groups hold the name where it is part of the mark.
_HEAD = re.compile(
    r"<(?:\w{1,20}:)?(?:tool_calls?|function_calls?|functioncall|toolcall|tool_use)>"
    r"|\[TOOL_CALLS\]|<\|(?:tool_calls?|tool_call_start|python_tag|python_start|START_ACTION)\|>"
    r"|<[|\uff5c]tool[_\u2581]call[_\u2581]begin[|\uff5c]>"  # Kimi, DeepSeek
    r"|<function=(?P<function>[^<>\s]{1,200})>"  # Llama, Qwen3-Coder
    r"|<[^\s<>\"]{0,20}(?:invoke|function) name=\"(?P<invoke>[^\"<>\n]{1,200})\">"  # Anthropic
    r"|\bto=functions\.(?P<recipient>[\w.-]{1,200})"  # gpt-oss
    r"|^[*\t ]{0,9}Action[*\t ]{0,3}:[*\t `]{0,9}(?P<action>[\w.-]{1,200})[*\t `]{0,9}\n\s{0,9}"
    r"[*]{0,2}Action Input[*]{0,2}:",  # ReAct
    re.IGNORECASE | re.MULTILINE,
)
_BUILT_IN = re.compile(r"(?<=<\|python_tag\|>)\s{0,9}(\w{1,200})\.call\(")  # Llama 3.1
_END = re.compile(
    r"</(?:\w{1,20}:)?(?:tool_calls?|function_calls?|functioncall|toolcall|tool_use|function)>"
    r"|</[^\s<>\"]{0,20}invoke>"
    r"|<\|(?:/tool_call|tool_call_end|python_end|END_ACTION)\|>"
    r"|<[|\uff5c]tool[_\u2581]call[_\u2581]end[|\uff5c]>|^[*\t ]{0,9}Observation[*\t ]{0,3}:",
    re.IGNORECASE | re.MULTILINE,
)
_PARAMETER = re.compile(
    r"<[^\s<>\"=]{0,20}parameter(?:=|\s{1,9}name=\")([^<>\"\n]{1,200})\"?[^<>\n]{0,99}>"
)
_PARAMETER_END = re.compile(r"</[^\s<>\"]{0,20}parameter>")
_BETWEEN = re.compile(  # what stands between a name and its arguments
    r"<[|\uff5c][\w\u2581]{1,40}[|\uff5c]>|\[CALL_ID\]\s?\w*|\[ARGS\]|```\w*|\bfunction(?=<)"
)
_NAME = re.compile(r"(?:functions\.)?([A-Za-z_][\w.-]{0,199}?)(?::\d+)?")
_PYTHON_VALUES = {"True": True, "False": False, "None": None}


class Written(str):
    """A parameter's text from a format that does not say whether it is text or another value."""

    __slots__ = ()

    def values(self) -> list[Any]:
        """Return all values that the text can stand for."""
        text = self.strip()
        try:
            return [text, json.loads(text)]
        except (ValueError, RecursionError):
            return [text, _PYTHON_VALUES[text]] if text in _PYTHON_VALUES else [text]


def said_calls(text: str) -> list[Call]:
    """Return the calls that an answer makes.

    Calls with a model's own marks count; without any, JSON documents; without any, calls in Python
    if the text, a fenced block or a list is nothing else.
    """
    text = _BUILT_IN.sub(r"\1(", text)
    whole = whole_document(text)
    if whole:
        return list(calls_in(whole[0]))
    marked = list(_marked(text))
    if marked:
        return marked
    parts = [block.text for block in fenced_blocks(text)]
    python = python_calls(text) or [call for part in parts for call in python_calls(part)]
    if python:
        return python
    # Documents of one part by another: a fenced block may hold a document on each line.
    fenced = [call for part in parts for call in _in_json(part)]
    return fenced or _in_json(text) or listed_calls(text)


def calls_in(document: Any) -> Iterator[Call]:
    """Yield name and arguments of every call in a JSON document of one of the usual shapes."""
    if isinstance(document, list):
        for member in document:
            yield from calls_in(member)
        return
    if not isinstance(document, dict):
        return
    for key in (*_NESTED, "function"):
        if isinstance(document.get(key), dict | list):
            yield from calls_in(document[key])
            return
    name = next((key for key in _NAMES if isinstance(document.get(key), str)), None)
    given = next((key for key in _ARGUMENTS if key in document), None)
    if name is None or (given is None and name != "name"):
        return
    arguments = document[given] if given else None
    if isinstance(arguments, str):  # the OpenAI API encodes them once more
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            return
    if arguments is None or isinstance(arguments, dict):
        yield document[name], arguments or {}


def _in_json(text: str) -> list[Call]:
    return [call for document in json_documents(text) for call in calls_in(document)]


def _marked(text: str) -> Iterator[Call]:
    for head, body in _sections(_HEAD, _END, text):
        name = head["function"] or head["invoke"] or head["recipient"] or head["action"]
        if name is None:
            yield from _unnamed(body)
            continue
        parameters = _parameters(body)
        documents = json_documents(body) if not parameters else []
        given = next((d for d in documents if isinstance(d, dict)), parameters)
        if given or documents or not body.strip():
            yield name.removeprefix("functions."), given


def _parameters(body: str) -> dict[str, Any]:
    """Return the values of ``<parameter=key>value</parameter>`` and its variants."""
    return {head[1]: Written(value) for head, value in _sections(_PARAMETER, _PARAMETER_END, body)}


def _sections(
    head: re.Pattern[str], end: re.Pattern[str], text: str
) -> Iterator[tuple[re.Match[str], str]]:
    """Yield every head and the text from there to its end, at most to the next head."""
    heads = list(head.finditer(text))
    stops = [found.start() for found in heads[1:]] + [len(text)]
    for found, stop in zip(heads, stops[: len(heads)], strict=True):
        yield found, end.split(text[found.end() : stop], maxsplit=1)[0]


def _unnamed(body: str) -> Iterator[Call]:
    """Yield the calls after a mark without a name."""
    before, *pairs = body.split("<arg_key>")  # GLM
    if pairs:
        keys_and_values = [pair.partition("</arg_key>") for pair in pairs]
        yield (
            before.strip(),
            {
                key.strip(): Written(value.partition("<arg_value>")[2].partition("</arg_value>")[0])
                for key, _, value in keys_and_values
            },
        )
        return
    before, brace, after = body.partition("{")
    name = _NAME.fullmatch(_BETWEEN.sub(" ", before).strip())
    if name and brace:
        document = next(iter(json_documents(brace + after)), None)
        if isinstance(document, dict):
            yield name[1], document
    elif name:
        yield name[1], {}
    else:
        yield from python_calls(body) or _in_json(body)
