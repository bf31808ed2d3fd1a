"""Every error that the endpoint sends: HTTP status, code, when it happens, what a client can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "artifact_error",
    "bad_gateway",
    "body_too_large",
    "config_error",
    "context_length_exceeded",
    "endpoint_not_supported",
    "error",
    "internal_error",
    "invalid_api_key",
    "invalid_parameter",
    "lost",
    "machine_error",
    "method_not_allowed",
    "model_failed",
    "model_not_found",
    "no_candidate",
    "no_healthy_candidate",
    "not_found",
    "not_permitted",
    "not_ready",
    "overloaded",
    "queue_full",
    "queue_timeout",
    "rate_limit_exceeded",
    "rate_limited",
    "timeout",
    "upstream_authentication",
    "wrong_role",
    "zoo_error",
]

# The code of an error that states none.
DEFAULT_CODES: Mapping[int, Code] = {
    400: "invalid_parameter",
    403: "not_permitted",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "body_too_large",
    429: "rate_limited",
    500: "internal_error",
    503: "overloaded",
    504: "timeout",
}
OTHER_CODE: Code = "error"

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    408: "timeout",
    429: "rate_limit_error",
    503: "service_unavailable",
    504: "timeout",
}


def error_type(status: int) -> str:
    """Return OpenAI's ``type`` of an error with an HTTP status."""
    default = "server_error" if status >= 500 else "invalid_request_error"
    return _TYPES.get(status, default)


@dataclass(frozen=True)
class ErrorMeaning:
    """A status and code that the endpoint sends.

    Attributes:
        status: HTTP status; None: any other status that a model sends.
        code: machine-readable reason.
        when: what happened.
        action: what the client, or its operator, can do.
    """

    status: int | None
    code: Code
    when: str
    action: str


_RETRY = "Retry after `Retry-After` seconds."
_ASK_OPERATOR = "Ask the operator of the endpoint."

ERRORS: tuple[ErrorMeaning, ...] = (
    ErrorMeaning(
        400,
        "invalid_parameter",
        "The body, one of its fields, or a header is malformed or has a value that is not allowed.",
        "Correct the field or header that `param` and the message name.",
    ),
    ErrorMeaning(
        400,
        "context_length_exceeded",
        "The prompt and the requested answer do not fit in the context window of any model that "
        "could otherwise answer.",
        "Shorten the prompt or lower `max_tokens`.",
    ),
    ErrorMeaning(
        400,
        "zoo_error",
        "`/admin/zoo`: the change names a candidate that is unknown or unusable, or breaks the "
        "rules of a zoo.",
        "Correct the entry as the message says.",
    ),
    ErrorMeaning(
        400,
        "artifact_error",
        "`/admin/zoo`: a card, router directory or version of the zoo is missing or corrupt.",
        "Give the card, path or version that the message asks for.",
    ),
    ErrorMeaning(
        400,
        "config_error",
        "`/admin/zoo`: the entry of a candidate is not valid.",
        "Correct the field that the message names.",
    ),
    ErrorMeaning(
        401,
        "invalid_api_key",
        "The request has no API key, or an unknown one.",
        "Send `Authorization: Bearer KEY` with a key of this endpoint.",
    ),
    ErrorMeaning(
        401,
        "upstream_authentication",
        "The provider of the model refused the server's key.",
        _ASK_OPERATOR + " The key of the provider is missing or has expired.",
    ),
    ErrorMeaning(
        403,
        "not_permitted",
        "The API key may not use the model that the request names.",
        "Name a model that `GET /v1/models` lists, or use another key.",
    ),
    ErrorMeaning(
        403,
        "wrong_role",
        "A client key was sent to `/admin/`, or an admin key to another path.",
        "Use a key of the role that the message names.",
    ),
    ErrorMeaning(
        403,
        "upstream_authentication",
        "The provider of the model does not permit the server's key to use it.",
        _ASK_OPERATOR,
    ),
    ErrorMeaning(404, "not_found", "The path does not exist.", "Correct the URL."),
    ErrorMeaning(
        404,
        "model_not_found",
        "No model or routing profile has the name in `model`.",
        "Name a model that the message or `GET /v1/models` lists.",
    ),
    ErrorMeaning(
        404,
        "endpoint_not_supported",
        "The model that the request names does not answer this path.",
        "Use a path that the message names, or another model.",
    ),
    ErrorMeaning(
        404,
        "no_candidate",
        "No model satisfies the constraints and requirements of a routed request.",
        "Relax the constraint that `param` names, or name a model.",
    ),
    ErrorMeaning(
        405,
        "method_not_allowed",
        "The path does not take this HTTP method.",
        "Use a method of the `Allow` header.",
    ),
    ErrorMeaning(
        408,
        "timeout",
        "The body of the request did not arrive in time, or the answer took longer than Ray Serve "
        "allows.",
        "Send the body without pauses; retry.",
    ),
    ErrorMeaning(
        413,
        "body_too_large",
        "The body is larger than `ingress.max_body_bytes`.",
        "Send a smaller body.",
    ),
    ErrorMeaning(
        429,
        "rate_limit_exceeded",
        "The rate limit of the API key is used up.",
        _RETRY,
    ),
    ErrorMeaning(
        429,
        "rate_limited",
        "Every model that was tried limits its rate.",
        _RETRY,
    ),
    ErrorMeaning(
        500,
        "internal_error",
        "The server, or the model during a stream, failed on this request.",
        "Retry. If it happens again, report the request id to the operator.",
    ),
    ErrorMeaning(
        502,
        "bad_gateway",
        "Every model that was tried returned a malformed response.",
        "Retry, or name another model.",
    ),
    ErrorMeaning(
        502,
        "model_failed",
        "The model failed after its first byte. Only in a stream, as its last event.",
        "Discard the partial answer and retry.",
    ),
    ErrorMeaning(
        503,
        "overloaded",
        "Ray Serve or the model has too many requests, or the server is starting or stopping.",
        _RETRY,
    ),
    ErrorMeaning(
        503,
        "queue_full",
        "`ingress.max_queued` requests are waiting already.",
        _RETRY,
    ),
    ErrorMeaning(
        503,
        "queue_timeout",
        "The request waited for longer than `ingress.queue_timeout_s`.",
        _RETRY,
    ),
    ErrorMeaning(
        503,
        "no_healthy_candidate",
        "Every model that may answer failed, is in cool-down, or has no replica.",
        _RETRY + " With `model: auto`, other models may be tried.",
    ),
    ErrorMeaning(
        503,
        "no_candidate",
        "No model of the zoo has a card yet, so none can be chosen.",
        "Name a model, or add cards.",
    ),
    ErrorMeaning(
        503,
        "not_ready",
        "`/health/ready`: no model of the zoo has a running engine or a URL.",
        _RETRY,
    ),
    ErrorMeaning(
        503,
        "lost",
        "A replica of the endpoint died before the answer was complete.",
        _RETRY,
    ),
    ErrorMeaning(
        503,
        "machine_error",
        "`/admin/zoo`: the controller of the zoo does not answer, an engine did not start, or the "
        "disk is full.",
        "See the message and the log of the controller, then retry.",
    ),
    ErrorMeaning(
        504,
        "timeout",
        "No model answered, or a stream paused or did not end, within the time limit.",
        "Raise `x-request-timeout-seconds` up to the server's own limit, or ask for a shorter "
        "answer.",
    ),
    ErrorMeaning(
        None,
        "error",
        "The model refused the request with a status that is not in this table.",
        "Change the request as the message says, or name another model.",
    ),
)
