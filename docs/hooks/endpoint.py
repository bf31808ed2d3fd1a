"""The reference pages of the HTTP endpoint, read from its OpenAPI document and its declarations."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast, get_args

from modelsat import errors
from modelsat.cli.app_errors import INTERRUPTED_EXIT_CODE
from serve_app.api.openapi import openapi_document
from serve_app.contracts import headers
from serve_app.contracts.answers import FailureKind
from serve_app.contracts.error_codes import ERRORS, error_type
from serve_app.contracts.headers import Header
from serve_app.observe.instruments import METRICS
from serve_app.settings_reference import markdown_table, type_text

Schema = Mapping[str, Any]


def requests_page() -> str:
    """Return the page of paths and of the fields of request bodies."""
    parts = [
        "# Requests",
        "`GET /openapi.json` of a running endpoint returns the same as an OpenAPI document. "
        "Fields that are not listed here reach the candidate unchanged.",
        "## Paths",
        markdown_table(
            ("method", "path", "operation"),
            [
                (f"`{method.upper()}`", f"`{path}`", _words(operation["operationId"]))
                for path, method, operation in _operations()
            ],
        ),
    ]
    for path, _, operation in _operations():
        body = operation.get("requestBody")
        if body is not None:
            schema = body["content"]["application/json"]["schema"]
            parts += [f"## POST {path}", _fields(schema)]
    return "\n\n".join(parts) + "\n"


def headers_page() -> str:
    """Return the page of every header that the endpoint reads or writes."""
    parts = [
        "# Headers",
        "Names are not case-sensitive. Other request headers have no effect, except those of HTTP "
        "itself, such as `Host` and `Transfer-Encoding`.",
        "## Request headers",
        _headers_table(headers.REQUEST_HEADERS),
        "## Response headers",
        _headers_table(headers.RESPONSE_HEADERS),
        "## Browsers of other origins",
        "If `security.cors_origins` lists origins, the endpoint also reads "
        f"{_names(headers.CORS_REQUEST_HEADERS)}, and writes "
        f"{_names(headers.CORS_RESPONSE_HEADERS)}. Scripts may read "
        f"{_names(headers.EXPOSED_HEADERS)}.",
        "## Requests to candidates behind URLs",
        "A candidate receives these headers, and no header of the client.",
        _headers_table(headers.CANDIDATE_REQUEST_HEADERS),
        "The endpoint reads this header of the candidate's response:",
        _headers_table(headers.CANDIDATE_RESPONSE_HEADERS),
    ]
    return "\n\n".join(parts) + "\n"


def metrics_page() -> str:
    """Return the page of Prometheus metrics."""
    rows = [
        (
            f"`ray_{metric.name}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.description,
        )
        for metric in METRICS
    ]
    parts = [
        "# Metrics",
        "Ray exports these metrics on the Prometheus port of every node "
        "(`ray start --metrics-export-port`).",
        markdown_table(("metric", "type", "labels", "meaning"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def http_errors_page() -> str:
    """Return the page of every error response of the endpoint."""
    rows = [
        (
            "other" if error.status is None else str(error.status),
            f"`{error.code}`",
            "" if error.status is None else f"`{error_type(error.status)}`",
            error.when,
            error.action,
        )
        for error in ERRORS
    ]
    failures = _names(f"stream_{kind}" for kind in get_args(FailureKind))
    parts = [
        "# HTTP errors",
        'Errors have the shape of OpenAI\'s: `{"error": {"message", "type", "param", "code"}}`. '
        "No message repeats text of the request, except under `/admin/`. Branch on `code`: "
        "messages may change.",
        markdown_table(("status", "code", "type", "when", "what to do"), rows),
        "## Refusals by a model",
        "If a model refuses a request with a 4xx, the response keeps that status. It keeps the "
        "model's own code and message, unless they repeat text of the request; otherwise the "
        "code is that of the table. After 408, 429 and 5xx the next model is tried instead.",
        "## Errors in streams",
        "A stream that breaks after its first byte has sent status 200 already. Its last event "
        "is the error, and `[DONE]` does not follow.",
        "## Codes in metrics and logs only",
        "`client_left`: the client disconnected (status 499). For a stream that broke, the code "
        f"names the cause: {failures}.",
    ]
    return "\n\n".join(parts) + "\n"


def exit_codes_page() -> str:
    """Return the page of the exit codes of commands."""
    kinds = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.ModelSatError)
    ]
    codes = [
        ("0", "", "The command succeeded."),
        *(
            (str(kind.exit_code), f"`{kind.__name__}`", inspect.getdoc(kind) or "")
            for kind in kinds
        ),
        (str(INTERRUPTED_EXIT_CODE), "", "Interrupted by Ctrl-C or SIGTERM."),
    ]
    parts = [
        "# Exit codes",
        "A command that a user's mistake ends prints one line, `error: ...`, to stderr.",
        markdown_table(("code", "exception", "meaning"), codes),
    ]
    return "\n\n".join(parts) + "\n"


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of every operation."""
    # The zoo gives examples of names only, and none where a key is needed.
    document = openapi_document(("auto",), cast(Any, None), needs_key=True)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _headers_table(listed: Mapping[str, Header]) -> str:
    rows = [_row(name, header.schema, header.meaning) for name, header in listed.items()]
    return markdown_table(("header", "type", "meaning"), rows)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fields(schema: Schema) -> str:
    bodies = schema.get("anyOf", [schema])  # with a routing profile, with a candidate's name
    names = sorted({name for body in bodies for name in body["properties"]})
    rows = []
    for name in names:
        forms = [body["properties"][name] for body in bodies if body["properties"].get(name)]
        if all(form == {"type": "null"} for form in forms):
            continue  # nothing but null is allowed: the field has no effect here
        meanings = [form["description"] for form in forms if "description" in form]
        needed = " Required." if all(name in body["required"] for body in bodies) else ""
        meaning = (meanings or ["As in OpenAI's API."])[0] + needed
        rows.append(_row(name, {"anyOf": forms}, meaning))
    return markdown_table(("field", "type", "meaning"), rows)


def _row(name: str, schema: Schema, meaning: str) -> tuple[str, ...]:
    return f"`{name}`", type_text(schema), meaning


def _words(operation: str) -> str:
    return "".join(f" {char.lower()}" if char.isupper() else char for char in operation)
