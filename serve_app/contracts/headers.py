"""Every HTTP header that the endpoint reads or writes: its name, form and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCEPT_ENCODING = "Accept-Encoding"
ACCEL_BUFFERING = "x-accel-buffering"
ALLOW = "Allow"
ATTEMPTS = "x-modelsat-attempts"
AUTHORIZATION = "Authorization"
CACHE_CONTROL = "Cache-Control"
CONFIDENCE = "x-modelsat-confidence"
CONTENT_LENGTH = "Content-Length"
CONTENT_TYPE = "Content-Type"
DISCONNECT_DISABLED = "x-request-disconnect-disabled"
OVERHEAD_MS = "x-modelsat-overhead-ms"
REASON = "x-modelsat-reason"
REQUEST_ID = "x-request-id"
RETRY_AFTER = "Retry-After"
SELECTED_MODEL = "x-modelsat-selected-model"
SESSION_ID = "x-session-id"
TIMEOUT_S = "x-request-timeout-seconds"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
USER_AGENT = "User-Agent"
WWW_AUTHENTICATE = "WWW-Authenticate"
# Ray reads both spellings.
MULTIPLEXED_MODEL_IDS = ("serve_multiplexed_model_id", "serve-multiplexed-model-id")

SESSION_PATTERN = "[!-~]([ -~]{0,254}[!-~])?"  # 1 to 256 printable ASCII characters
REQUEST_ID_PATTERN = "[!-~]{1,128}"
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.1, 86400

# Headers whose presence has an effect of Ray's that clients must not have.
DROPPED = (DISCONNECT_DISABLED, *MULTIPLEXED_MODEL_IDS)

_STRING: Mapping[str, Any] = {"type": "string"}


def as_key(name: str) -> bytes:
    """Return a header's name as ASGI writes it."""
    return name.lower().encode()


@dataclass(frozen=True)
class Header:
    """A header.

    Attributes:
        meaning: what it says, and when it is present.
        schema: JSON Schema of its value.
    """

    meaning: str
    schema: Mapping[str, Any] = field(default_factory=lambda: _STRING)


REQUEST_HEADERS: Mapping[str, Header] = {
    AUTHORIZATION: Header("`Bearer KEY`. Required if `security.keys` names a file of API keys."),
    CONTENT_LENGTH: Header(
        "A body that would be too large is refused before it is read.",
        {"type": "integer", "minimum": 0},
    ),
    SESSION_ID: Header(
        "Session id. A session keeps its model unless another is much better.",
        {"type": "string", "pattern": f"^{SESSION_PATTERN}$"},
    ),
    TIMEOUT_S: Header(
        "Time limit for the whole answer, seconds.",
        {"type": "number", "minimum": MIN_TIMEOUT_S, "maximum": MAX_TIMEOUT_S},
    ),
    REQUEST_ID: Header(
        "Id of the request in the response, logs and traces: 1 to 128 printable ASCII characters "
        "without spaces. If it is missing or malformed, the server generates one.",
        {"type": "string", "pattern": f"^{REQUEST_ID_PATTERN}$"},
    ),
    TRACEPARENT: Header(
        "W3C trace context: the trace that the request belongs to. A malformed one is ignored."
    ),
    TRACESTATE: Header("W3C trace context: passed on with `traceparent`, up to 512 characters."),
    **{
        name: Header(f"Instruction to Ray Serve; removed before Ray reads it, because {reason}.")
        for name, reason in (
            (DISCONNECT_DISABLED, "it would keep requests of disconnected clients running"),
            *((name, "it would influence which replica answers") for name in MULTIPLEXED_MODEL_IDS),
        )
    },
}

RESPONSE_HEADERS: Mapping[str, Header] = {
    SELECTED_MODEL: Header("The model that answers."),
    REASON: Header("Why the first model was chosen."),
    ATTEMPTS: Header(
        "Number of models tried. Errors have it too if models were asked: it is 0 if all were in "
        "cool-down.",
        {"type": "integer", "minimum": 0},
    ),
    OVERHEAD_MS: Header(
        "Gateway overhead before the first byte, upstream wait excluded, milliseconds.",
        {"type": "number", "minimum": 0},
    ),
    CONFIDENCE: Header(
        "P(correct) of the model that answers, if it was scored.",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    REQUEST_ID: Header("Id of the request: the client's, or one that the server generated."),
    RETRY_AFTER: Header(
        "Seconds after which a retry may succeed. With 429 and 503.",
        {"type": "integer", "minimum": 1},
    ),
    WWW_AUTHENTICATE: Header("`Bearer`. With 401 if the API key is missing or unknown."),
    ALLOW: Header("Methods that the path takes. With 405."),
    CONTENT_TYPE: Header("`application/json`, or `text/event-stream; charset=utf-8` of a stream."),
    CONTENT_LENGTH: Header(
        "Length of the body in bytes. Streams have none.", {"type": "integer", "minimum": 0}
    ),
    CACHE_CONTROL: Header("`no-cache`. With streams."),
    ACCEL_BUFFERING: Header("`no`: nginx must not buffer the events. With streams."),
}

# Headers that the web framework reads and writes if `security.cors_origins` lists origins.
CORS_REQUEST_HEADERS = (
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
)
CORS_RESPONSE_HEADERS = (
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Vary",
)
# Response headers that a script of such an origin may read.
EXPOSED_HEADERS = (
    SELECTED_MODEL,
    CONFIDENCE,
    REASON,
    ATTEMPTS,
    OVERHEAD_MS,
    REQUEST_ID,
    RETRY_AFTER,
)

# Headers of requests to candidates behind URLs; no header of the client is forwarded.
CANDIDATE_REQUEST_HEADERS: Mapping[str, Header] = {
    AUTHORIZATION: Header("`Bearer KEY` with the key that the zoo file names, if it names one."),
    CONTENT_TYPE: Header("`application/json`."),
    CONTENT_LENGTH: Header("Length of the body in bytes.", {"type": "integer", "minimum": 0}),
    USER_AGENT: Header("`model-sat`."),
    "Host": Header("Host and port of the URL."),
    "Accept": Header("`*/*`."),
    ACCEPT_ENCODING: Header("`identity`: responses are not compressed."),
    TRACEPARENT: Header("W3C trace context, if the request is traced."),
    TRACESTATE: Header("W3C trace context: the client's, if it sent one."),
}
CANDIDATE_RESPONSE_HEADERS: Mapping[str, Header] = {
    RETRY_AFTER: Header(
        "Seconds or a date: the length of the cool-down, up to `fallback.max_cooldown_s`."
    ),
}
