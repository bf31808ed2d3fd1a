"""The OpenAPI document: every operation, its request and its responses."""

from collections.abc import Mapping, Sequence
from typing import Any

import modelsat
from modelsat.zoo.candidate import Candidate, Endpoint
from serve_app.api.openapi_requests import (
    Schema,
    chat_schema,
    completion_schema,
    embedding_schema,
    route_schema,
)
from serve_app.contracts import headers as named
from serve_app.contracts.zoo_state import ZooState

_JSON = "application/json"
_EVENTS = "text/event-stream"
_STRING: Schema = {"type": "string"}
_STRING_OR_NULL: Schema = {"type": ["string", "null"]}

_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _STRING,
                "type": _STRING,
                "param": _STRING_OR_NULL,
                "code": _STRING_OR_NULL,
            },
        }
    },
}
_MODEL: Schema = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": _STRING,
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": _STRING,
        "max_model_len": {"description": "Context window, tokens.", "type": "integer"},
    },
}
_HEALTH: Schema = {"type": "object", "required": ["status"], "properties": {"status": _STRING}}
_COMPLETION: Schema = {
    "type": "object",
    "required": ["model", "choices"],
    "properties": {"model": _STRING, "choices": {"type": "array", "minItems": 1}},
}
_EVENT: Schema = {
    "description": "A server-sent event: a chunk or an error as JSON; the last is [DONE].",
    "type": "object",
    "required": ["data"],
    "properties": {"data": _STRING},
}
_EMBEDDING: Schema = {
    "type": "object",
    "required": ["model", "data"],
    "properties": {"model": _STRING, "data": {"type": "array", "minItems": 1}},
}
_ROUTE: Schema = {
    "type": "object",
    "required": ["selected_model", "reason", "candidates", "zoo_version"],
    "properties": {
        "selected_model": _STRING,
        "reason": _STRING,
        "model_names": {"type": "array", "items": _STRING},
        "confidences": {"type": "array", "items": {"type": ["number", "null"]}},
        "costs": {"type": "array", "items": {"type": ["number", "null"]}},
        "candidates": {"type": "array", "items": {"type": "object"}},
        "zoo_version": {"type": "integer"},
    },
}

_DESCRIPTIONS = {
    400: "The request is malformed, or its prompt is too long.",
    401: "No API key, or an unknown one.",
    403: "The API key has another role, or may not use this model.",
    404: "There is no such model, or no model can do what the request needs.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    429: "The API key's rate limit is used up, or all models limit their rate.",
    500: "The server failed on this request.",
    502: "Every model returned a malformed response.",
    503: "Too many requests, or no model can be reached.",
    504: "No answer within the time limit.",
}
_RETRIABLE = (429, 503)
_INFERENCE_ERRORS = tuple(_DESCRIPTIONS)
_READING_ERRORS = (401, 403, 413)


def openapi_document(
    profiles: Sequence[str], state: ZooState, *, needs_key: bool
) -> dict[str, Any]:
    """Return the document for the current zoo.

    Args:
        profiles: model names that ask for routing.
        state: the zoo; its names are examples, unless a key is required to see them.
        needs_key: whether API keys are required; the document itself needs none.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Model-SAT",
            "version": modelsat.__version__,
            "description": "One endpoint for the models of a zoo, with routing between them.",
        },
        "paths": {
            **_inference_paths(profiles, () if needs_key else state.zoo.candidates),
            **_reading_paths(),
            **_health_paths(),
        },
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}] if needs_key else [],
    }


def _inference_paths(profiles: Sequence[str], shown: Sequence[Candidate]) -> dict[str, Any]:
    def names(endpoint: Endpoint) -> list[str]:
        return [candidate.name for candidate in shown if endpoint in candidate.endpoints]

    chat = chat_schema(profiles, names("chat"))
    completion = completion_schema(profiles, names("completions"))
    embedding = embedding_schema(profiles, names("embeddings"))
    answers = _completed(_COMPLETION, streams=True)
    return {
        "/v1/chat/completions": _inference("createChatCompletion", chat, answers),
        "/v1/completions": _inference("createCompletion", completion, answers),
        "/v1/embeddings": _inference("createEmbedding", embedding, _completed(_EMBEDDING)),
        "/v1/route": _inference("explainRoute", route_schema(profiles), _ok(_ROUTE)),
    }


def _inference(operation: str, body: Schema, answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "operationId": operation,
            "parameters": _request_headers(),
            "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
            "responses": {
                "200": answer,
                **_errors(_INFERENCE_ERRORS),
                # A refusal by the model keeps its status.
                "4XX": _error("The model refuses the request."),
            },
        }
    }


def _request_headers() -> list[dict[str, Any]]:
    headers = {name: named.REQUEST_HEADERS[name] for name in (named.SESSION_ID, named.TIMEOUT_S)}
    return [
        {"name": name, "in": "header", "schema": header.schema, "description": header.meaning}
        for name, header in headers.items()
    ]


def _completed(schema: Schema, *, streams: bool = False) -> dict[str, Any]:
    answer = _ok(schema)
    if streams:
        answer["content"][_EVENTS] = {"itemSchema": _EVENT}
    always = (named.SELECTED_MODEL, named.REASON, named.ATTEMPTS, named.OVERHEAD_MS)
    answer["headers"] = {
        **{name: _header(name, required=True) for name in always},
        named.CONFIDENCE: _header(named.CONFIDENCE, required=False),
    }
    return answer


def _header(name: str, *, required: bool) -> dict[str, Any]:
    header = named.RESPONSE_HEADERS[name]
    return {"description": header.meaning, "required": required, "schema": header.schema}


def _reading_paths() -> dict[str, Any]:
    listed = {
        "type": "object",
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
    }
    name = {"name": "model", "in": "path", "required": True, "schema": _STRING}
    return {
        "/v1/models": {
            "get": {
                "operationId": "listModels",
                "responses": {"200": _ok(listed), **_errors(_READING_ERRORS)},
            }
        },
        "/v1/models/{model}": {
            "get": {
                "operationId": "retrieveModel",
                "parameters": [name],
                "responses": {"200": _ok(_MODEL), **_errors((*_READING_ERRORS, 404))},
            }
        },
    }


def _health_paths() -> dict[str, Any]:
    def probe(operation: str, statuses: tuple[int, ...] = ()) -> dict[str, Any]:
        answers = {"200": _ok(_HEALTH), **_errors((413, *statuses))}
        return {"get": {"operationId": operation, "security": [], "responses": answers}}

    return {
        "/health": probe("health"),
        "/health/live": probe("live"),
        "/health/ready": probe("ready", (503,)),
    }


def _ok(schema: Schema) -> dict[str, Any]:
    return {"description": "Success.", "content": {_JSON: {"schema": schema}}}


def _errors(statuses: Sequence[int]) -> dict[str, Any]:
    return {
        str(status): _error(_DESCRIPTIONS[status], retriable=status in _RETRIABLE)
        for status in statuses
    }


def _error(description: str, *, retriable: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if retriable:
        answer["headers"] = {named.RETRY_AFTER: _header(named.RETRY_AFTER, required=True)}
    return answer
