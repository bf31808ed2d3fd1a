"""Parsing of request bodies, as far as routing needs it.

Every other field of a body reaches the candidate unchanged, known to this version or not. Only the
routing fields (:class:`modelsat.routing.constraints.Constraints`) are removed, and ``model``
becomes the candidate's name. ``serve_app.api.openapi`` publishes the rules that are checked here.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from modelsat.chats import message_text, text_to_score
from modelsat.routing.constraints import FIELDS
from modelsat.zoo.candidate import Endpoint
from serve_app.api.prompts import check_prompt, is_integer, longest_prompt, prompt_text
from serve_app.api.routing_fields import ConstraintError, read_fields
from serve_app.config import RoutingOptions
from serve_app.contracts.errors import refuse
from serve_app.contracts.parsed_request import ANSWER_LIMITS, ParsedRequest

MAX_EXPLAINED = 20  # card statements that /v1/route shows per candidate
_USUALLY_EXPLAINED = 3

# An empty list or object of 3 bytes costs 60 to 90 bytes and 0.3 us; texts hold few brackets.
_MAX_BRACKETS = 250_000
# Walking and encoding a body recurse, which Python and msgspec limit to about 1000 levels.
_MAX_DEPTH = 128
_TOO_DEEP = f"the body is nested more than {_MAX_DEPTH} levels deep"
# The field of a body that holds its text.
_TEXT_FIELDS: dict[Endpoint, str] = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
}
_decode = msgspec.json.Decoder().decode


def parse_chat(raw: bytes) -> ParsedRequest:
    """Parse a chat completion request.

    Raises:
        ApiError: 400 with the name of the offending field.
    """
    body = _read_json_object(raw)
    _check_chat(body)
    return _completion("chat", body)


def parse_completion(raw: bytes) -> ParsedRequest:
    """Parse a text completion request; see :func:`parse_chat`."""
    body = _read_json_object(raw)
    check_prompt(body.get("prompt"), "prompt")
    _check_limits(body, "completions")
    return _completion("completions", body)


def parse_embedding(raw: bytes) -> ParsedRequest:
    """Parse an embedding request; see :func:`parse_chat`."""
    body = _read_json_object(raw)
    check_prompt(body.get("input"), "input")
    return ParsedRequest(
        "embeddings", body, _model(body), routing_fields=_take_routing_fields(body)
    )


def parse_route(raw: bytes, default_model: str) -> ParsedRequest:
    """Parse a ``/v1/route`` request: a chat or text completion request, ``model`` optional.

    Raises:
        ApiError: 400 with the name of the offending field.
    """
    body = _read_json_object(raw)
    if ("messages" in body) == ("prompt" in body):
        refuse("give either messages or prompt", "messages")
    explained = body.pop("top_k", _USUALLY_EXPLAINED)
    if not is_integer(explained, 0, MAX_EXPLAINED):
        refuse(f"top_k must be an integer from 0 to {MAX_EXPLAINED}", "top_k")
    body.setdefault("model", default_model)
    if "messages" in body:
        _check_chat(body)
    else:
        check_prompt(body["prompt"], "prompt")
        _check_limits(body, "completions")
    endpoint: Endpoint = "chat" if "messages" in body else "completions"
    model = _model(body)
    return ParsedRequest(
        endpoint, body, model, routing_fields=_take_routing_fields(body), explained=int(explained)
    )


PARSERS: Mapping[str, Callable[[bytes], ParsedRequest]] = {
    "chat": parse_chat,
    "completions": parse_completion,
    "embeddings": parse_embedding,
}


def text_to_route(endpoint: Endpoint, body: Mapping[str, Any], options: RoutingOptions) -> str:
    """Return the text of a request that is scored.

    Chat: see :func:`modelsat.chats.text_to_score`. The default is the last user message, since
    cards say how well a candidate answers single questions; several messages are limited, as the
    router reads only the beginning of a text.

    Completions and embeddings: ``prompt`` or ``input``; a list of strings is joined by line
    breaks. A request without text, such as an image alone, is routed without scores.

    Args:
        endpoint: OpenAI's endpoint.
        body: a request body whose messages, prompt or input have the right types.
        options: ``text`` is the rule, ``turns_chars`` the limit of several messages.

    Returns:
        The text; empty if there is only white space, or no user message.

    Raises:
        ApiError: 400: the prompt is token ids.
    """
    field = _TEXT_FIELDS[endpoint]
    if endpoint == "chat":
        text = text_to_score(body[field], options.text, options.turns_chars)
    else:
        text = prompt_text(field, body[field])
    return text if text.strip() else ""


def all_text(endpoint: Endpoint, body: Mapping[str, Any]) -> str:
    """Return everything that becomes part of the prompt, for counting its tokens.

    Each message is preceded by a mark of about as many tokens as a chat template adds. Each token
    id becomes a word, which is at least one token.
    """
    value = body[_TEXT_FIELDS[endpoint]]
    if endpoint != "chat":
        return value if isinstance(value, str) else longest_prompt(value)
    texts = [f"<|{message['role']}|>\n{message_text(message)}" for message in value]
    extra = [message["tool_calls"] for message in value if message.get("tool_calls")]
    extra += [body[name] for name in ("tools", "functions") if body.get(name)]
    if extra:
        texts.append(json.dumps(extra))
    return "\n".join(texts)


def _completion(endpoint: Endpoint, body: dict[str, Any]) -> ParsedRequest:
    stream = body.get("stream")
    if not (stream is None or isinstance(stream, bool)):
        refuse("stream must be true or false", "stream")
    options = body.get("stream_options")
    if not (options is None or isinstance(options, dict)):
        refuse("stream_options must be an object", "stream_options")
    return ParsedRequest(endpoint, body, _model(body), bool(stream), _take_routing_fields(body))


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        refuse("model must be a non-empty string", "model")
    return model


def _read_json_object(raw: bytes) -> dict[str, Any]:
    num_brackets = raw.count(b"[") + raw.count(b"{")
    if num_brackets > _MAX_BRACKETS:
        refuse(f"the body holds more than {_MAX_BRACKETS} brackets", None)
    try:
        body = _decode(raw)
    except UnicodeError:
        refuse("the body is not valid UTF-8 text", None)
    except RecursionError:
        refuse(_TOO_DEEP, None)
    except msgspec.MsgspecError:
        refuse("the body is not valid JSON", None)
    if not isinstance(body, dict):
        refuse("the body must be a JSON object", None)
    if num_brackets > _MAX_DEPTH and _is_deeper(body, _MAX_DEPTH):
        refuse(_TOO_DEEP, None)
    return body


def _is_deeper(body: dict[str, Any], depth: int) -> bool:
    """Whether objects and lists are nested more than ``depth`` levels deep; does not recurse."""
    level: list[Any] = [body]
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def _check_chat(body: Mapping[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        refuse("messages must be a non-empty list", "messages")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            refuse(f"{where} must be an object", where)
        if not isinstance(message.get("role"), str) or not message["role"]:
            refuse(f"{where}.role must be a non-empty string", f"{where}.role")
        calls = message.get("tool_calls")
        if not (calls is None or isinstance(calls, list)):
            refuse(f"{where}.tool_calls must be a list", f"{where}.tool_calls")
        _check_content(message.get("content"), f"{where}.content")
    tools = body.get("tools")
    if not (tools is None or isinstance(tools, list)):
        refuse("tools must be a list", "tools")
    _check_limits(body, "chat")


def _check_content(content: Any, where: str) -> None:
    if content is None or isinstance(content, str):
        return  # null is allowed with tool calls
    if not isinstance(content, list):
        refuse(f"{where} must be a string or a list of parts", where)
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            refuse(f"{where}[{index}] must be an object with a type", f"{where}[{index}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            refuse(f"{where}[{index}].text must be a string", f"{where}[{index}].text")


def _check_limits(body: Mapping[str, Any], endpoint: Endpoint) -> None:
    for name in ANSWER_LIMITS[endpoint]:
        value = body.get(name)
        if not (value is None or is_integer(value, 0, float("inf"))):
            refuse(f"{name} must be an integer, 0 or more", name)


def _take_routing_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Remove the routing fields from a body and return those that were given, checked."""
    given = {name: body.pop(name) for name in FIELDS if name in body}
    if not given:
        return given
    try:
        return read_fields(given)
    except ConstraintError as error:
        refuse(str(error), error.field)
