"""The document against the server: the server accepts what the document allows, only that."""

import asyncio
import json

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from serve_app.api.key_file import KeyFile, write_keys
from serve_app.api.keys import KeyRing

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "tiny-b", "prompt": "Hi"},
    "/v1/embeddings": {"model": "embedder", "input": "Hi"},
    "/v1/route": {"prompt": "Hi"},
}


@pytest.fixture
def api(served):
    return served.build()


@pytest.fixture
def answers(api):
    return TestClient(api, raise_server_exceptions=False)


@pytest.fixture
def document(answers):
    return answers.get("/openapi.json").json()


def body_schema(document, path):
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


ANYTHING = (
    *(None, True, -1, 0, 1, 2.0, 0.5, 1.5, 20, 21, 1e9, 1e10),
    *("", "a", "auto", "tiny/a", [], {}, [1], [0.0, 2], [-1], [1.5], ["a"], ["", "a*"], ["a", 1]),
    *([[1], [2.0]], [[1], []], [["a"]], [[1], "a"], [True]),
)
PARTS = (
    *({}, {"type": "text"}, {"type": 1}, {"type": "text", "text": ""}, {"type": "text", "text": 1}),
    *({"type": "image_url"}, {"type": "image_url", "text": 1}, {"text": "a"}),
)
MESSAGES = (
    *({"role": role} for role in ("user", "", 1, None)),
    *({"role": "user", "content": content} for content in (*ANYTHING, *([p] for p in PARTS))),
    *({"role": "user", "tool_calls": calls} for calls in ANYTHING),
    {"content": "Hi"},
)
VALUES = {
    **dict.fromkeys(
        (
            *("stream", "stream_options", "tools", "max_tokens", "max_completion_tokens"),
            *("tolerance", "min_p", "max_cost", "top_k", "prompt", "input", "unknown"),
        ),
        ANYTHING,
    ),
    "model": (*ANYTHING, "embedder", "unknown"),
    "messages": (*ANYTHING, *([message] for message in MESSAGES)),
    "models": (*ANYTHING, ["a"] * 1024, ["a"] * 1025, ["a*"] * 64, ["[b"] * 65),
}


async def status_of(api, path, body):
    statuses, answered = [], asyncio.Event()
    pending = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive():
        if not pending:
            await answered.wait()
            return {"type": "http.disconnect"}
        return pending.pop()

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        elif not message.get("more_body"):
            answered.set()

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    await api(scope, receive, send)
    return statuses[0]


def disagreements(api, validator, path, bodies):
    """Bodies on which the document and the server disagree; a 404 is about a name."""

    async def ask():
        return [(body, await status_of(api, path, body)) for body in bodies]

    return [
        (body, status)
        for body, status in asyncio.run(ask())
        if status not in ((200, 404) if validator.is_valid(body) else (400, 404))
    ]


@pytest.mark.parametrize("model", ["auto", "tiny/a", "embedder"])
@pytest.mark.parametrize("path", BODIES)
def test_the_published_rules_are_the_rules_field_by_field(api, document, path, model):
    validator = Draft202012Validator(body_schema(document, path))
    right = {**BODIES[path], "model": model}
    bodies = [right, *({k: v for k, v in right.items() if k != name} for name in right)]
    bodies += [{**right, name: value} for name in VALUES for value in VALUES[name]]
    assert disagreements(api, validator, path, bodies) == []


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data(), path=st.sampled_from(sorted(BODIES)))
def test_the_published_rules_are_the_rules_together(api, document, data, path):
    body = dict(BODIES[path])
    for name in data.draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4, unique=True)):
        body[name] = data.draw(st.sampled_from(VALUES[name]))
    validator = Draft202012Validator(body_schema(document, path))
    assert disagreements(api, validator, path, [body]) == []


@pytest.mark.parametrize("path", BODIES)
def test_every_body_schema_is_a_schema_and_takes_a_right_body(answers, document, path):
    schema = body_schema(document, path)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(BODIES[path])
    assert not Draft202012Validator(schema).is_valid({})
    assert answers.post(path, json=BODIES[path]).status_code == 200


def test_the_document_has_every_route_and_no_other(served, document):
    routes = {
        (route.path.replace(":path", ""), method.lower())
        for route in served.build().routes
        for method in getattr(route, "methods", ())
        if route.path.startswith(("/v1", "/health"))
    }
    documented = {(path, method) for path, item in document["paths"].items() for method in item}
    assert documented == routes


def test_every_status_is_documented_with_its_shape(document):
    for item in document["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                schema = answer["content"]["application/json"]["schema"]
                assert ("Error" in json.dumps(schema)) == (status != "200")
                assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))


def test_completions_are_documents_or_event_streams(document):
    for path in BODIES:
        content = document["paths"][path]["post"]["responses"]["200"]["content"]
        assert ("text/event-stream" in content) == path.endswith("completions")


def test_names_of_the_zoo_are_examples_of_the_endpoints_that_they_answer(document):
    def named(path):
        text = json.dumps(body_schema(document, path))
        return {name for name in ("tiny/a", "tiny-b", "embedder") if f'"{name}"' in text}

    assert named("/v1/chat/completions") == {"tiny/a", "tiny-b"}
    assert named("/v1/embeddings") == {"embedder"}
    assert named("/v1/route") == set()


def test_names_of_the_zoo_are_hidden_if_keys_are_required(served, tmp_path):
    write_keys(tmp_path / "keys.yaml", KeyFile())
    served.keys = KeyRing(tmp_path / "keys.yaml")
    text = TestClient(served.build()).get("/openapi.json").text
    assert '"auto"' in text
    assert not any(name in text for name in ("tiny/a", "tiny-b", "embedder"))


def test_the_document_requires_a_key_if_there_are_keys(served, document, tmp_path):
    assert document["security"] == []
    write_keys(tmp_path / "keys.yaml", KeyFile())
    served.keys = KeyRing(tmp_path / "keys.yaml")
    document = TestClient(served.build()).get("/openapi.json").json()
    assert document["security"] == [{"key": []}]
    assert document["paths"]["/health"]["get"]["security"] == []
