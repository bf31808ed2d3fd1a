"""JSON Schemas of request bodies: the rules of ``serve_app.api.requests``, for its readers.

What is written here is what is checked there, in both directions: a body that fits is not refused
for its shape, and one that does not fit is.
"""

from collections.abc import Sequence
from typing import Any

from serve_app.api.requests import MAX_ALLOWED_MODELS, MAX_COST, MAX_EXPLAINED, MAX_WILDCARDS

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

_KNOBS: Schema = {
    "tolerance": {
        "description": "How far below the best P(correct) the cheapest model may be.",
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
    },
    "min_p": {
        "description": "P(correct) that is good enough for the cheapest model that has it.",
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
    },
    "max_cost": {
        "description": "Highest blended price, US dollars per million tokens.",
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": MAX_COST,
    },
    "models": {
        "description": "Names, or patterns with * ? [, of the models that may answer.",
        "type": ["array", "null"],
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
        "maxItems": MAX_ALLOWED_MODELS,
        "contains": {"type": "string", "pattern": r"[*?\[]"},
        "minContains": 0,
        "maxContains": MAX_WILDCARDS,
    },
}
_NO_KNOBS: Schema = {name: {"type": "null"} for name in _KNOBS}


def chat_schema(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    """Body of a chat completion request.

    Args:
        profiles: names that ask for routing.
        names: models that answer this endpoint now; others are not found.
    """
    fields = {**_CHAT, **_STREAM}
    return _either(
        _object(("model", "messages"), {"model": _routed(profiles), **fields, **_KNOBS}),
        _object(("model", "messages"), {"model": _named(profiles, names), **fields, **_NO_KNOBS}),
    )


def completion_schema(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    """Body of a text completion request; see :func:`chat_schema`."""
    fields = {"max_tokens": _LIMIT, **_STREAM}
    routed = {"model": _routed(profiles), "prompt": _TEXT, **fields, **_KNOBS}
    named = {"model": _named(profiles, names), "prompt": _TEXT_OR_TOKEN_IDS, **fields, **_NO_KNOBS}
    return _either(_object(("model", "prompt"), routed), _object(("model", "prompt"), named))


def embedding_schema(profiles: Sequence[str], names: Sequence[str]) -> Schema:
    """Body of an embedding request, which is never routed; see :func:`chat_schema`."""
    fields = {"model": _named(profiles, names), "input": _TEXT_OR_TOKEN_IDS, **_NO_KNOBS}
    return _object(("model", "input"), fields)


def route_schema(profiles: Sequence[str]) -> Schema:
    """Body of a question about a route; see :func:`chat_schema`."""
    fields = {
        "model": {"description": "auto when absent.", **_routed(profiles)},
        "top_k": {
            "description": "Card statements told of each model.",
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_EXPLAINED,
        },
        **_KNOBS,
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
