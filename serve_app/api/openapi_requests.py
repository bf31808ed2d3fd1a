"""JSON Schemas of request bodies: the rules that ``serve_app.api.requests`` checks.

Both directions hold: a body that fits its schema is not refused for its shape, and a body that does
not fit is refused.
"""

from collections.abc import Sequence
from typing import Any

from modelsat.routing.constraints import FIELDS, field_schemas
from serve_app.api.requests import MAX_EXPLAINED

Schema = dict[str, Any]

_TEXT_PART: Schema = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
_OTHER_PART: Schema = {
    "description": "image_url and input_audio need a model that reads them.",
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string", "not": {"const": "text"}}},
}
_MESSAGE: Schema = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "minLength": 1},
        "content": {
            "anyOf": [
                {"type": ["string", "null"]},
                {"type": "array", "items": {"anyOf": [_TEXT_PART, _OTHER_PART]}},
            ]
        },
        "tool_calls": {"type": ["array", "null"]},
    },
}
_MESSAGES: Schema = {"type": "array", "minItems": 1, "items": _MESSAGE}
_TOKEN_IDS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "minimum": 0},
}
_TEXT: Schema = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"type": "string"}},
    ]
}
_TEXT_OR_TOKEN_IDS: Schema = {
    "anyOf": [
        *_TEXT["anyOf"],
        _TOKEN_IDS,
        {"type": "array", "minItems": 1, "items": _TOKEN_IDS},
    ]
}
_LIMIT: Schema = {"type": ["integer", "null"], "minimum": 0}
_STREAM: Schema = {
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {"type": ["object", "null"]},
}
_CHAT: Schema = {
    "messages": _MESSAGES,
    "tools": {"type": ["array", "null"]},
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
}

_NO_FIELDS: Schema = {name: {"type": "null"} for name in FIELDS}


def chat_schema(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    """Body of a chat completion request.

    Args:
        profiles: names that ask for routing.
        names: models that answer this endpoint now, as examples.
    """
    fields = {**_CHAT, **_STREAM}
    return _either(
        _object(("model", "messages"), {"model": _routed(profiles), **fields, **field_schemas()}),
        _object(("model", "messages"), {"model": _named(profiles, names), **fields, **_NO_FIELDS}),
    )


def completion_schema(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    """Body of a text completion request; see :func:`chat_schema`."""
    fields = {"max_tokens": _LIMIT, **_STREAM}
    routed = {"model": _routed(profiles), "prompt": _TEXT, **fields, **field_schemas()}
    named = {"model": _named(profiles, names), "prompt": _TEXT_OR_TOKEN_IDS, **fields, **_NO_FIELDS}
    return _either(_object(("model", "prompt"), routed), _object(("model", "prompt"), named))


def embedding_schema(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    """Body of an embedding request, which is never routed; see :func:`chat_schema`."""
    fields = {"model": _named(profiles, names), "input": _TEXT_OR_TOKEN_IDS, **_NO_FIELDS}
    return _object(("model", "input"), fields)


def route_schema(profiles: Sequence[str]) -> Schema:
    """Body of a ``/v1/route`` request; see :func:`chat_schema`."""
    fields = {
        "model": {"description": "auto if absent.", **_routed(profiles)},
        "top_k": {
            "description": "Card statements to show of each model.",
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_EXPLAINED,
        },
        **field_schemas(),
    }
    return _either(
        _object(("messages",), {**fields, **_CHAT, "prompt": False}),
        _object(("prompt",), {**fields, "prompt": _TEXT, "max_tokens": _LIMIT, "messages": False}),
    )


def _object(required: Sequence[str], properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _routed(profiles: Sequence[str]) -> Schema:
    return {"enum": list(profiles)}


def _named(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    other: Schema = {"type": "string", "minLength": 1, "not": {"enum": list(profiles)}}
    return {"anyOf": [{"enum": list(names)}, other]} if names else other
