"""A request field is declared once: parser, schema and command line follow."""

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from modelsat.routing.constraints import FIELDS
from serve_app.api.openapi_requests import chat_schema, completion_schema, route_schema
from serve_app.api.requests import parse_chat


@pytest.mark.parametrize("field", FIELDS)
def test_every_declared_field_is_served_published_and_offered(field):
    chat = b'{"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "%s": null}'
    parsed = parse_chat(chat % field.encode())
    assert field in parsed.routing_fields
    assert field not in parsed.body
    for schema in (chat_schema(["auto"], []), completion_schema(["auto"], []), route_schema([])):
        assert field in schema["anyOf"][0]["properties"]
    help_text = CliRunner().invoke(app, ["route", "--help"], env={"COLUMNS": "200"}).output
    assert f"--{field.replace('_', '-')}" in help_text
