"""The reference pages of the HTTP endpoint, read from its OpenAPI document and its declarations."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, cast

from modelsat import errors
from modelsat.cli.app_errors import INTERRUPTED_EXIT_CODE
from serve_app.api.openapi import openapi_document
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
    """Return the page of request and response headers."""
    asked: dict[str, tuple[str, ...]] = {}
    sent: dict[str, tuple[str, ...]] = {}
    for _, _, operation in _operations():
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header":
                asked[parameter["name"]] = _row(
                    parameter["name"], parameter["schema"], parameter["description"]
                )
        for response in operation["responses"].values():
            for name, header in response.get("headers", {}).items():
                sent[name] = _row(name, header["schema"], header["description"])
    columns = ("header", "type", "meaning")
    parts = [
        "# Headers",
        "## Request headers",
        markdown_table(columns, list(asked.values())),
        "## Response headers",
        markdown_table(columns, list(sent.values())),
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


def errors_page() -> str:
    """Return the page of exit codes and HTTP errors."""
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
    responses: dict[str, str] = {}
    for _, _, operation in _operations():
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                responses[status] = response["description"]
    parts = [
        "# Errors",
        "## Exit codes",
        "A command that a user's mistake ends prints one line, `error: ...`, to stderr.",
        markdown_table(("code", "exception", "meaning"), codes),
        "## HTTP statuses",
        'Errors have the shape of OpenAI\'s: `{"error": {"message", "type", "param", "code"}}`. '
        "No message repeats text of the request.",
        markdown_table(("status", "meaning"), sorted(responses.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of every operation."""
    # The zoo gives examples of names only, and none where a key is needed.
    document = openapi_document(("auto",), cast(Any, None), needs_key=True)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


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
