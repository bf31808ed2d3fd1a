"""The reference pages of errors and headers are complete against the code of the endpoint."""

import ast
import re
from typing import get_args

import pytest

from docs.hooks.endpoint import headers_page, http_errors_page
from serve_app.api import admin
from serve_app.contracts import headers
from serve_app.contracts.error_codes import DEFAULT_CODES, Code
from tests.support.documents import ROOT

SOURCES = sorted((ROOT / "serve_app").rglob("*.py"))
DECLARATIONS = ROOT / "serve_app/contracts/headers.py"
ERRORS = {"ApiError", "DispatchError"}


def parsed(paths):
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in paths]


def errors_on_the_page():
    """Status and code of each row of the page."""
    return set(re.findall(r"^\| (\w+) \| `(\w+)` \|", http_errors_page(), re.MULTILINE))


def errors_in_the_code():
    """Status and code of each error that is built; None where a variable holds the value."""
    for name, tree in parsed(SOURCES):
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            given = next((k.value for k in call.keywords if k.arg == "code"), None)
            code = given.value if isinstance(given, ast.Constant) else None
            if call.func.id == "overloaded":
                yield name, 503, code or "overloaded"
            elif call.func.id in ERRORS:
                status = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
                if given is None and status is not None:
                    code = DEFAULT_CODES[status]
                yield name, status, code


def test_every_error_that_the_code_builds_is_on_the_page():
    rows = errors_on_the_page()
    found = list(errors_in_the_code())
    assert ("serve_app/api/keys.py", 429, "rate_limit_exceeded") in found
    assert ("serve_app/api/connection.py", 503, "queue_full") in found
    assert ("serve_app/candidates/refusals.py", None, "upstream_authentication") in found
    missing = [
        (name, status, code)
        for name, status, code in found
        if not any(
            (status is None or str(status) == row_status) and (code is None or code == row_code)
            for row_status, row_code in rows
        )
    ]
    assert missing == []


def test_every_code_is_on_the_page():
    assert {code for _, code in errors_on_the_page()} == set(get_args(Code))
    assert set(admin._CODES.values()) <= set(get_args(Code))


@pytest.mark.parametrize(("status", "code"), DEFAULT_CODES.items())
def test_codes_of_errors_that_state_none_are_on_the_page(status, code):
    assert (str(status), code) in errors_on_the_page()


def test_every_declared_header_is_on_the_page():
    page = headers_page()
    names = {
        value
        for name, value in vars(headers).items()
        if name.isupper() and isinstance(value, str) and not name.endswith("_PATTERN")
    }
    assert {"x-request-id", "Retry-After", "traceparent", "x-session-id"} <= names
    names |= {*headers.DROPPED, *headers.CORS_REQUEST_HEADERS, *headers.CORS_RESPONSE_HEADERS}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_headers_are_named_in_one_module():
    declared = {name.lower() for name in re.findall(r"`([A-Za-z_-]+)`", headers_page())}
    literals = [
        (name, node.lineno, text)
        for name, tree in parsed(path for path in SOURCES if path != DECLARATIONS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        for text in [node.value.decode() if isinstance(node.value, bytes) else node.value]
        if re.fullmatch(r"[A-Za-z]+([-_][A-Za-z]+)+|traceparent|tracestate|authorization", text)
        and (text.lower() in declared - {"model-sat", "no-cache"} or text.startswith("x-"))
    ]
    assert literals == []
