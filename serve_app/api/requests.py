"""Reading a chat completion request: what routing needs of it, and nothing else.

The body travels on as it came, so fields that this version does not know reach the engine.
"""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from serve_app.api.errors import ApiError


@dataclass(frozen=True)
class ChatRequest:
    """A chat completion request.

    Attributes:
        body: the JSON object as it was sent.
        model: the requested model name.
        stream: whether the answer is to be streamed.
    """

    body: dict[str, Any]
    model: str
    stream: bool


def parse_chat_request(raw: bytes) -> ChatRequest:
    """Read a request body.

    Raises:
        ApiError: 400 with the name of the offending field: not UTF-8, not JSON, no object, or
            a field of the wrong type.
    """
    body = _read_json_object(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        _refuse("model must be a non-empty string", "model")
    stream = body.get("stream")
    if not (stream is None or isinstance(stream, bool)):
        _refuse("stream must be true or false", "stream")
    options = body.get("stream_options")
    if not (options is None or isinstance(options, dict)):
        _refuse("stream_options must be an object", "stream_options")
    _check_messages(body.get("messages"))
    return ChatRequest(body=body, model=model, stream=bool(stream))


def text_to_route(body: dict[str, Any]) -> str:
    """The text that decides where a request goes.

    The rule: the last message whose role is ``user``, and no other message. Its content is
    taken as it is when it is a string; of a list of parts, the texts of the parts of type
    ``text`` are taken in order, joined by line breaks. System prompts, earlier turns and
    answers do not take part: cards say how well a candidate answers single questions.

    Args:
        body: a request accepted by :func:`parse_chat_request`.

    Raises:
        ApiError: 400: there is no user message, or it holds no text but white space.
    """
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message.get("content") or ""
            text = content if isinstance(content, str) else "\n".join(_part_texts(content))
            if not text.strip():
                _refuse(
                    "the last user message holds no text to route on; add text or name a model",
                    "messages",
                )
            return text
    _refuse("there is no user message to route on; add one or name a model", "messages")


def _part_texts(parts: list[dict[str, Any]]) -> list[str]:
    return [part["text"] for part in parts if part.get("type") == "text"]


def _read_json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
        # Escapes such as \ud800 pass the parser but can be sent nowhere.
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeError:
        _refuse("the body is not valid UTF-8 text", None)
    except (ValueError, RecursionError):
        _refuse("the body is not valid JSON", None)
    if not isinstance(body, dict):
        _refuse("the body must be a JSON object", None)
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        _refuse("messages must be a non-empty list", "messages")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            _refuse(f"{where} must be an object", where)
        if not isinstance(message.get("role"), str) or not message["role"]:
            _refuse(f"{where}.role must be a non-empty string", f"{where}.role")
        _check_content(message.get("content"), f"{where}.content")


def _check_content(content: Any, where: str) -> None:
    if content is None or isinstance(content, str):
        return  # null stands beside tool calls
    if not isinstance(content, list):
        _refuse(f"{where} must be a string or a list of parts", where)
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            _refuse(f"{where}[{index}] must be an object with a type", f"{where}[{index}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            _refuse(f"{where}[{index}].text must be a string", f"{where}[{index}].text")


def _refuse(message: str, param: str | None) -> NoReturn:
    raise ApiError(400, message, param=param)
